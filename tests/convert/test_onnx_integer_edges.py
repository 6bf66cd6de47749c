"""Integers that a part of a rule could not hold, and indices beside axes of unknown sizes; judged by onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from convert.drawn_nodes import assert_read_right, feeds_of, model_of, runtime_answers
from dagir.errors import UnsupportedOp


def check(op, inputs, output, opset=18, **options):
    model = model_of(op, inputs, (output,), opset, **options)
    feeds = feeds_of(inputs, options.get("stored", ()))
    assert_read_right(model, feeds, runtime_answers(model, feeds), rtol=0, atol=0)


def test_the_mean_of_large_integers():
    x = np.array([[2**24 + 1, 2**24 + 1], [-(2**29) - 1, -(2**29) - 1], [-3, -4]], "int32")
    check("ReduceMean", [x, np.array([1])], "int32", stored=(1,))


@pytest.mark.parametrize("bounds", [(0, 10**10, 10**6), (2**40, 2**40 + 3, 1), (5, -(10**10), -(10**7)), (3, 3, 1)])
def test_a_range_beyond_32_bits(bounds):
    check("Range", [np.array(each) for each in bounds], "int64", stored=(0, 1, 2))


def test_a_range_without_steps_is_refused():
    bounds = [np.array(each) for each in (0, 5, 0)]
    with pytest.raises(UnsupportedOp, match="step is 0"):
        dagir.from_onnx(model_of("Range", bounds, ("int64",), 18, stored=(0, 1, 2)))


@pytest.mark.parametrize("wanted", [1, 2])
@pytest.mark.parametrize("free", [(), ((0, 0),)])
def test_indices_that_are_fewer_than_the_elements_on_other_axes(free, wanted):
    x = np.arange(12, dtype="float32").reshape(3, 4)
    indices = np.array([[2, 0], [3, 3]][:wanted], "int64")
    check("GatherElements", [x, indices], "float32", axis=1, stored=(1,), free=free)


def test_one_hot_of_narrow_indices_into_a_large_depth():
    indices, depth = np.array([0, 5, -1, 100], "int8"), np.array(300, "int64")
    model = model_of("OneHot", [indices, depth, np.float32([0, 1])], ("float32",), 18, stored=(1, 2))
    wanted = np.eye(300, dtype="float32")[indices.astype(int)]
    assert_read_right(model, {"in0": indices}, {"out0": wanted})


def test_places_of_the_first_and_last_step_are_no_lengths_of_two_rows():
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=shape).astype("float32") for shape in ((1, 3, 4), (4, 12), (12,)))
    inputs = [x, w, b, np.array([3, 1], "int32")]
    model = model_of("Attention", inputs, ("float32",), 17, domain="com.microsoft", stored=(1, 2), num_heads=2)
    with pytest.raises(UnsupportedOp, match="places of the first and last step"):
        dagir.from_onnx(model)
