"""BitCast: the bits of integers as other integers, and those of known numbers as any dtype, judged by NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

import dagir
from dagir.errors import UnsupportedOp
from dagir.ir.types import DType
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.packing import packed

NUMBERS = {
    "uint32": np.array([2**32 - 1, 2**31, 5], "uint32"),
    "int64": np.array([-1, -(2**63), 5]),
    "int8": np.array([-1, -128, 127], "int8"),
    "uint16": np.array([65535, 32768, 1], "uint16"),
    "bool": np.array([True, False]),
}


def model_of(array, target, stored=False):
    """The bits of an array as those of another dtype."""
    source, target = TO_ONNX[DType.of(array.dtype)], TO_ONNX[DType.of(target)]
    node = helper.make_node("BitCast", ["x"], ["y"], to=target)
    entering = [] if stored else [helper.make_tensor_value_info("x", source, array.shape)]
    leaving = helper.make_tensor_value_info("y", target, array.shape)
    held = TensorProto(name="x", data_type=source, dims=array.shape, raw_data=packed(array).tobytes())
    graph = helper.make_graph([node], "bits", entering, [leaving], [held] if stored else [])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 26)], ir_version=10)


@pytest.mark.parametrize(
    ("source", "target"),
    [("uint32", "int32"), ("int64", "uint64"), ("int8", "uint8"), ("uint16", "int16"), ("bool", "uint8")],
)
def test_integers_that_are_fed(source, target):
    model, array = dagir.from_onnx(model_of(NUMBERS[source], target)), NUMBERS[source]
    for backend in ("numpy", "onnx"):
        found = dagir.lower(model, backend)({"x": array})["y"]
        assert str(found.dtype) == target
        np.testing.assert_array_equal(found, array.view(target))


@pytest.mark.parametrize(
    ("array", "target"),
    [
        (np.float32([1.5, -0.0, np.inf]), "int32"),
        (np.array([0x7FF0000000000000, -1]), "float64"),
        (np.array(0x3FC0, "uint16"), "bfloat16"),
        (np.float16([[1.0], [-2.5]]), "uint16"),
    ],
)
def test_numbers_that_are_stored(array, target):
    model = dagir.from_onnx(model_of(array, target, stored=True))
    found = dagir.lower(model)({})["y"]
    np.testing.assert_array_equal(found, array.view(DType.of(target).numpy))


def test_codes_of_four_bits_that_are_stored():
    array = np.array([-8, -1, 0, 7]).astype(DType.INT4.numpy)
    model = dagir.from_onnx(model_of(array, "uint4", stored=True))
    found = dagir.lower(model)({})["y"]
    np.testing.assert_array_equal(found.astype("int32"), [8, 15, 0, 7])


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [("float32", "int32", "how floats are rounded"), ("float32", "int64", "which has not as many")],
)
def test_others_are_refused(source, target, reason):
    with pytest.raises(UnsupportedOp, match=reason):
        dagir.from_onnx(model_of(np.ones(3, source), target))
