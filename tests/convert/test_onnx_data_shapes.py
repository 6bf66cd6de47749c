"""Shapes that are computed from the data: ONNX graphs whose settings are inputs, judged by onnxruntime."""

from __future__ import annotations

import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dagir
from convert.drawn_nodes import feeds_of, model_of, runtime_answers

onnxruntime.set_default_logger_severity(4)
FEW = settings(max_examples=max(2, settings.default.max_examples // 3))


def agree(model, feeds, wanted, backends=("numpy", "onnx")):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dagir.errors.DeclarationWarning)
        read = dagir.from_onnx(model)
    for backend in backends:
        found = dagir.lower(read, backend)(feeds)
        for name, array in wanted.items():
            assert found[name].shape == array.shape, (backend, name)
            assert found[name].dtype == array.dtype, (backend, name)
            np.testing.assert_allclose(found[name], array, 1e-5, 1e-6, err_msg=backend)


def check(op, inputs, opset=18, outputs=("float32",), free=(), backends=("numpy", "onnx"), stored=(), **attributes):
    model = model_of(op, inputs, outputs, opset, free=free, stored=stored, **attributes)
    feeds = feeds_of(inputs, stored)
    agree(model, feeds, runtime_answers(model, feeds), backends)


def numbers(*shape):
    return np.random.default_rng(shape).normal(size=shape).astype("float32")


def ints(*each):
    return np.array(each, "int64")


X, SEVEN = numbers(2, 3, 4), np.asarray(7, "float32")
CASES = {
    "Reshape": ("Reshape", [X, ints(4, 6)], {}),
    "Reshape with the rest": ("Reshape", [X, ints(2, -1, 3)], {}),
    "Reshape that keeps": ("Reshape", [X, ints(0, -1)], {}),
    "Reshape of no elements": ("Reshape", [X[:, :0], ints(0, 5)], {"allowzero": 1}),
    "Expand": ("Expand", [numbers(3, 1), ints(2, 1, 4)], {}),
    "Expand by less": ("Expand", [X, ints(4)], {}),
    "Tile": ("Tile", [X, ints(1, 2, 3)], {}),
    "ConstantOfShape": ("ConstantOfShape", [ints(2, 0, 3)], {}),
    "TopK": ("TopK", [X, ints(2)], {"outputs": ("float32", "int64"), "axis": 1}),
    "Split": ("Split", [X, ints(1, 2)], {"outputs": ("float32", "float32"), "axis": 1}),
    "Resize": ("Resize", [numbers(1, 1, 4, 4), None, None, ints(1, 1, 7, 3)], {"mode": "linear"}),
    "OneHot": ("OneHot", [ints(0, 2, -1), np.array(4), np.float32([0, 1])], {}),
    "Pad": ("Pad", [X, ints(0, 1, 2, 0, -1, 1), SEVEN], {}),
    "Pad by the edge": ("Pad", [X, ints(0, 1, 2, 1, 0, 3)], {"mode": "edge"}),
    "Pad by the mirror": ("Pad", [X, ints(0, 1, 2, 1, 0, 3)], {"mode": "reflect"}),
    "Pad of one axis": ("Pad", [X, ints(1, 2), SEVEN, ints(1)], {"stored": (3,)}),
    "Range": ("Range", [np.asarray(each, "float32") for each in (1, 6, 2)], {}),
}


@pytest.mark.parametrize("name", CASES)
def test_settings_that_are_inputs(name):
    op, inputs, given = CASES[name]
    check(op, inputs, **given)


@pytest.mark.parametrize("name", ["Reshape with the rest", "Reshape that keeps", "Expand", "Tile", "Split", "Pad"])
def test_of_sizes_that_are_free_too(name):
    op, inputs, given = CASES[name]
    check(op, inputs, free=[(0, axis) for axis, size in enumerate(inputs[0].shape) if size > 1], **given)


@pytest.mark.parametrize("name", ["Reshape", "Expand", "TopK", "Resize", "Pad"])
def test_keras_computes_the_same(name):
    op, inputs, given = CASES[name]
    check(op, inputs, backends=("keras",), **given)


_BOUND = st.one_of(st.integers(-6, 6), st.sampled_from((2**31 - 1, 2**63 - 1, -(2**31))))


@FEW
@given(start=_BOUND, end=_BOUND, step=st.sampled_from((1, 2, -1, -2)), free=st.booleans(), axis=st.integers(0, 2))
def test_slices_between_bounds_of_the_data(start, end, step, free, axis):
    if step < 0 and end >= 2**31 - 1:  # where onnxruntime takes the largest end as no end
        end = 5
    inputs = [X, ints(start), ints(end), ints(axis), ints(step)]
    check("Slice", inputs, stored=(3, 4), free=[(0, axis)] if free else ())


GRAPH = """<ir_version: 9, opset_import: ["" : 18]>
cut (float[b, c, 8] x, int64[1] n) => (float[b, c, k] y, float[b, p, q] z)
<int64[1] first = {0}, int64[1] two = {2}, int64[1] open = {-1}, int64[1] last = {2}>
{
  shape = Shape(x)
  batch = Gather<axis = 0>(shape, first)
  y = Slice(x, first, n, last)
  target = Concat<axis = 0>(batch, open, n)
  cut = Slice(x, first, n, last)
  z = Reshape(cut, target)
}"""


def test_what_is_known_of_a_target_stays_known():
    model = onnx.parser.parse_model(GRAPH)
    feeds = {"x": numbers(2, 3, 8), "n": ints(4)}
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    agree(model, feeds, dict(zip(("y", "z"), session.run(None, feeds), strict=True)))
    graph = dagir.from_onnx(model).graph
    assert graph.outputs[1].type.shape[0] == graph.inputs[0].type.shape[0]


def test_another_size_than_is_there_fails():
    """A free size may be 1 when the model runs, and only then be expanded."""
    model = model_of("Expand", [numbers(3), ints(3)], ["float32"], 18, free=[(0, 0)])
    exe = dagir.lower(dagir.from_onnx(model))
    assert exe({"in0": numbers(3), "in1": ints(3)})["out0"].shape == (3,)
    with pytest.raises(dagir.errors.DagirError):
        exe({"in0": numbers(1), "in1": ints(3)})


def test_a_shape_of_too_many_numbers_is_refused_before_they_are_counted():
    model = model_of("ConstantOfShape", [ints(2)], ["float32"], 18)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1 << 31
    with pytest.raises(dagir.errors.UnsafeFile, match="asks for too much"):
        dagir.from_onnx(model)


def test_a_region_that_is_computed_is_refused_by_name():
    inputs = [numbers(1, 1, 4, 4), numbers(8), None, ints(1, 1, 2, 2)]
    crop = {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"}
    model = model_of("Resize", inputs, ("float32",), 18, stored=(3,), **crop)
    with pytest.raises(dagir.errors.UnsupportedOp, match=r"'node' \(Resize\).* roi is computed[\s\S]*Slice"):
        dagir.from_onnx(model)
