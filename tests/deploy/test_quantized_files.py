"""Quantized ONNX files, read and written again: integer kernels stay what they are, and codes stay codes."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, load, numpy_helper

import dagir


def quantized_convolution(per_channel, rng):
    """QuantizeLinear, and a convolution between DequantizeLinear and QuantizeLinear, as quantizers write it."""
    shape = (4,) if per_channel else ()
    held = {
        "scale": np.float32(0.5),
        "zero": np.uint8(128),
        "w": rng.integers(-127, 127, (4, 3, 3, 3)).astype("int8"),
        "w_scale": np.full(shape, 2.0**-6, "float32"),
        "w_zero": np.zeros(shape, "int8"),
        "b": rng.integers(-99, 99, 4).astype("int32"),
        "b_scale": np.full(shape, 2.0**-7, "float32"),
        "b_zero": np.zeros(shape, "int32"),
        "y_scale": np.float32(4.0),
    }
    axis = {"axis": 0} if per_channel else {}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "scale", "zero"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["wd"], **axis),
        helper.make_node("DequantizeLinear", ["b", "b_scale", "b_zero"], ["bd"], **axis),
        helper.make_node("Conv", ["xd", "wd", "bd"], ["yd"], pads=[1, 1, 1, 1]),
        helper.make_node("QuantizeLinear", ["yd", "y_scale", "zero"], ["yq"]),
        helper.make_node("DequantizeLinear", ["yq", "y_scale", "zero"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "quantized",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4, 8, 8])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in held.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def kernels(source, folder):
    """The operators that onnxruntime runs, after its own optimizer."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    return session, [node.op_type for node in load(folder / "optimized.onnx").graph.node]


@pytest.mark.parametrize("per_channel", [False, True])
def test_a_quantized_convolution_stays_an_integer_kernel(per_channel, tmp_path):
    rng = np.random.default_rng(0)
    proto = quantized_convolution(per_channel, rng)
    model = dagir.from_onnx(proto)
    dagir.to_onnx(model, tmp_path / "again.onnx", opset=18)
    again = load(tmp_path / "again.onnx")
    types = [node.op_type for node in again.graph.node]
    assert sorted(types) == sorted(node.op_type for node in proto.graph.node)
    stored = {each.name: each.data_type for each in again.graph.initializer}
    assert TensorProto.INT8 in stored.values() and TensorProto.INT32 in stored.values()
    session, run = kernels(tmp_path / "again.onnx", tmp_path)
    assert "QLinearConv" in run
    x = (rng.integers(-40, 40, (2, 3, 8, 8)) / 4).astype("float32")
    (found,) = session.run(None, {"x": x})
    assert np.array_equal(found, onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"x": x})[0])
    assert np.array_equal(dagir.lower(model)(x)["y"], found)


def test_integer_operators_are_written_as_themselves(tmp_path):
    """A QLinearMatMul, and a MatMulInteger of what DynamicQuantizeLinear gives."""
    rng = np.random.default_rng(0)
    held = {
        "w": rng.integers(0, 255, (4, 5)).astype("uint8"),
        "w_zero": np.uint8(120),
        "scale": np.float32(0.25),
        "zero": np.uint8(3),
        "y_scale": np.float32(2.0**10),
    }
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("MatMulInteger", ["q", "w", "z", "w_zero"], ["sums"]),
        helper.make_node("QLinearMatMul", ["q", "s", "z", "w", "scale", "w_zero", "y_scale", "zero"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "integers",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 4])],
        [
            helper.make_tensor_value_info("sums", TensorProto.INT32, [3, 5]),
            helper.make_tensor_value_info("y", TensorProto.UINT8, [3, 5]),
        ],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in held.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    model = dagir.from_onnx(proto)
    exe = dagir.lower(model, "onnx")
    assert [node.op_type for node in exe.artifact.graph.node] == [node.op_type for node in nodes]
    x = np.arange(12, dtype="float32").reshape(3, 4) * np.float32(255 / 11)
    wanted = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"x": x})
    for found in (exe(x), dagir.lower(model)(x)):
        assert np.array_equal(found["sums"], wanted[0]) and np.array_equal(found["y"], wanted[1])
