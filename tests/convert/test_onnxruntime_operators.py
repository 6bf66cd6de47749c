"""Operators of onnxruntime's own domain that its optimizer writes for codes and convolutions, judged by onnxruntime."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import helper, numpy_helper

import dagir
from dagir.errors import UnsupportedOp

onnxruntime.set_default_logger_severity(4)

# Scales that put no number between two codes: there onnxruntime adds the zero point first, and then rounds to even.
A = {"a_scale": np.float32(0.0417), "a_zero": np.uint8(120)}
B = {"b_scale": np.float32(0.0313), "b_zero": np.uint8(100)}
Y = {"y_scale": np.float32(0.0971), "y_zero": np.uint8(99)}
FINE = {"y_scale": np.float32(1 / 256)}
POOL = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}
CONV = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}


def codes(*shape):
    return np.random.default_rng(len(shape)).integers(0, 255, shape).astype("uint8")


def floats(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype("float32")


def model(op, fed, stored, order, attributes):
    node = helper.make_node(op, order, ["y"], domain="com.microsoft", **attributes)
    entering = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in fed.items()
    ]
    held = [numpy_helper.from_array(np.asarray(array), name) for name, array in stored.items()]
    graph = helper.make_graph([node], "case", entering, [helper.make_empty_tensor_value_info("y")], held)
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


UNARY = ["a", "a_scale", "a_zero", "y_scale", "y_zero"]
BINARY = ["a", "a_scale", "a_zero", "b", "b_scale", "b_zero", "y_scale", "y_zero"]
KERNEL = {"b": codes(3, 2, 3, 3)}
BIAS = np.arange(-2, 3, dtype="int32") * 30
CASES = [
    ("QLinearAdd", {"a": codes(2, 5), "b": codes(2, 5)}, {**A, **B, **Y}, BINARY, {}),
    ("QLinearMul", {"a": codes(2, 5), "b": codes(2, 5)}, {**A, **B, **Y}, BINARY, {}),
    ("QLinearSigmoid", {"a": codes(2, 5)}, {**A, **Y, **FINE}, UNARY, {}),
    ("QLinearLeakyRelu", {"a": codes(2, 5)}, {**A, **Y}, UNARY, {"alpha": 0.2}),
    (
        "QLinearSoftmax",
        {"a": codes(2, 5)},
        {**A, **Y, **FINE},
        UNARY,
        {"axis": -1, "opset": 13},
    ),
    ("QLinearGlobalAveragePool", {"a": codes(2, 3, 5, 4)}, {**A, **Y}, UNARY, {"channels_last": 0}),
    ("QLinearGlobalAveragePool", {"a": codes(2, 3, 5, 4)}, {**A, **Y}, UNARY, {"channels_last": 1}),
    ("QLinearAveragePool", {"a": codes(2, 6, 6, 6)}, {**A, **Y}, UNARY, {"channels_last": 0, **POOL}),
    ("QLinearAveragePool", {"a": codes(2, 6, 6, 6)}, {**A, **Y}, UNARY, {"channels_last": 1, **POOL}),
    (
        "QLinearConcat",
        {"a": codes(2, 3), "b": codes(2, 4)},
        {**A, **B, **Y},
        ["y_scale", "y_zero", *BINARY[:6]],
        {"axis": 1},
    ),
    (
        "QLinearWhere",
        {"c": np.eye(3, dtype=bool), "a": codes(3, 3), "b": codes(3, 3)},
        {**A, **B, **Y},
        ["c", *BINARY],
        {},
    ),
    ("QGemm", {"a": codes(3, 4)}, {**A, **B, **Y, "b": codes(4, 5), "c": BIAS}, [*BINARY[:6], "c", *BINARY[6:]], {}),
    (
        "QGemm",
        {"a": codes(3, 4)},
        {**A, **B, "b": codes(5, 4), "c": BIAS},
        [*BINARY[:6], "c"],
        {"transB": 1, "alpha": 0.5},
    ),
    (
        "MatMulIntegerToFloat",
        {"a": codes(3, 4)},
        {**A, **B, "b": codes(4, 5), "bias": floats(5)},
        ["a", "b", "a_scale", "b_scale", "a_zero", "b_zero", "bias"],
        {},
    ),
    (
        "DynamicQuantizeMatMul",
        {"a": floats(3, 4)},
        {**B, "b": codes(4, 5), "bias": floats(5)},
        ["a", "b", "b_scale", "b_zero", "bias"],
        {},
    ),
    (
        "QLinearConv",
        {"a": codes(1, 2, 5, 5)},
        {**A, **B, **Y, **KERNEL},
        BINARY,
        {"channels_last": 0, **CONV},
    ),
    (
        "QLinearConv",
        {"a": codes(1, 5, 5, 2)},
        {**A, **B, **Y, **KERNEL},
        BINARY,
        {"channels_last": 1, **CONV},
    ),
    ("QuantizeLinear", {"a": floats(3, 4)}, Y, ["a", "y_scale", "y_zero"], {}),
    ("DequantizeLinear", {"a": codes(3, 4)}, A, ["a", "a_scale", "a_zero"], {}),
    *(
        (
            "FusedConv",
            {"x": floats(1, 2, 5, 5), "z": floats(1, 3, 5, 5)},
            {"w": floats(3, 2, 3, 3), "b": floats(3)},
            ["x", "w", "b", "z"],
            {"activation": name, **({"activation_params": given} if given else {}), **CONV},
        )
        for name, given in {
            "Relu": [],
            "Tanh": [],
            "Sigmoid": [],
            "LeakyRelu": [0.3],
            "Clip": [-1.0, 1.0],
            "HardSigmoid": [0.2, 0.5],
        }.items()
    ),
]


@pytest.mark.parametrize(
    "op, fed, stored, order, attributes", CASES, ids=lambda each: each if isinstance(each, str) else ""
)
def test_answers_are_those_of_onnxruntime(op, fed, stored, order, attributes):
    proto = model(op, fed, stored, order, attributes)
    (wanted,) = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, fed)
    read = dagir.from_onnx(proto)
    for name in ("numpy", "onnx"):
        found = dagir.lower(read, name)(fed)["y"]
        assert found.dtype == wanted.dtype and found.shape == wanted.shape
        if wanted.dtype.kind == "f":
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(found, wanted)


def test_an_unknown_activation_is_refused():
    stored = {"w": floats(3, 2, 3, 3)}
    proto = model("FusedConv", {"x": floats(1, 2, 5, 5)}, stored, ["x", "w"], {"activation": "Snake", **CONV})
    with pytest.raises(UnsupportedOp, match="Snake"):
        dagir.from_onnx(proto)
