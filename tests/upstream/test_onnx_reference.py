"""Faults of onnx's reference evaluator, each by its smallest case, with onnxruntime as the judge."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from test_onnxruntime import model, run

LAYOUTS = {"input axes": {"scan_input_axes": [1]}, "output direction": {"scan_output_directions": [1]}}
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def agree(proto, feeds, **tolerance):
    found = ReferenceEvaluator(proto).run(None, feeds)[0]
    np.testing.assert_allclose(found, run(proto, feeds), **{"rtol": 1e-5, "atol": 1e-6, **tolerance})


@pytest.mark.xfail(strict=True, reason="onnx 1.23 ignores sequence_lens")
@pytest.mark.parametrize("kind", GATES)
def test_a_recurrence_stops_at_the_length_of_a_row(kind):
    node = helper.make_node(kind, ["x", "w", "r", "", "lengths"], ["", "h"], hidden_size=1)
    ones = {name: np.ones((1, GATES[kind], 1), "float32") for name in "wr"}
    proto = model([node], {"x": [3, 1, 1]}, {"h": [1, 1, 1]}, lengths=np.array([1], "int32"), **ones)
    agree(proto, {"x": np.ones((3, 1, 1), "float32")})


@pytest.mark.xfail(strict=True, reason="onnx 1.23 knows few activations of recurrences")
def test_a_recurrence_with_relu():
    node = helper.make_node("LSTM", ["x", "w", "r"], ["", "h"], hidden_size=1, activations=["Sigmoid", "Relu", "Relu"])
    proto = model([node], {"x": [1, 1, 1]}, {"h": [1, 1, 1]}, **{n: np.ones((1, 4, 1), "float32") for n in "wr"})
    agree(proto, {"x": np.ones((1, 1, 1), "float32")})


@pytest.mark.xfail(strict=True, reason="onnx 1.23 has one layout of Scan")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_scan_along_another_axis(layout):
    step, total = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("step", "total"))
    body = helper.make_graph([helper.make_node("Neg", ["step"], ["total"])], "body", [step], [total])
    proto = model(
        [helper.make_node("Scan", ["x"], ["y"], body=body, num_scan_inputs=1, **LAYOUTS[layout])],
        {"x": [2, 2]},
        {"y": [2, 2]},
    )
    agree(proto, {"x": np.eye(2, dtype="float32")})


@pytest.mark.xfail(strict=True, reason="onnx 1.23 pools past the end of one axis of channels first")
def test_a_pool_that_pads():
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3], strides=[1], pads=[1, 1])
    agree(model([node], {"x": [1, 1, 5]}, {"y": [1, 1, 5]}), {"x": np.arange(5, dtype="float32").reshape(1, 1, 5)})


@pytest.mark.xfail(strict=True, reason="onnx 1.23 takes no negative pads, which take numbers off")
def test_a_pad_that_takes_off():
    proto = model([helper.make_node("Pad", ["x", "pads"], ["y"])], {"x": [3]}, {"y": [3]}, pads=np.array([-1, 1]))
    agree(proto, {"x": np.arange(3, dtype="float32")})


@pytest.mark.xfail(strict=True, reason="onnx 1.23 takes the logarithm of a softmax that has lost the digits")
def test_log_softmax_of_numbers_far_apart():
    proto = model([helper.make_node("LogSoftmax", ["x"], ["y"])], {"x": [1, 2]}, {"y": [1, 2]})
    agree(proto, {"x": np.array([[0, 101]], "float32")})


@pytest.mark.xfail(strict=True, reason="onnx 1.23 makes a scalar of an array of rank 0, and refuses it")
def test_softsign_of_a_number():
    agree(model([helper.make_node("Softsign", ["x"], ["y"])], {"x": []}, {"y": []}), {"x": np.float32(1)})


@pytest.mark.xfail(strict=True, reason="onnx 1.23 computes GRU with the activations that it has by default")
def test_a_gru_of_two_sigmoids():
    node = helper.make_node("GRU", ["x", "w", "r"], ["y"], hidden_size=1, activations=["Sigmoid", "Sigmoid"])
    proto = model([node], {"x": [1, 1, 1]}, {"y": [1, 1, 1, 1]}, **{n: np.ones((1, 3, 1), "float32") for n in "wr"})
    agree(proto, {"x": np.ones((1, 1, 1), "float32")})


@pytest.mark.xfail(strict=True, reason="onnx 1.23 moves the place of a cubic sample to the border, not its elements")
def test_a_cubic_sample_beyond_the_border():
    given = {"mode": "cubic", "padding_mode": "border", "align_corners": 1}
    proto = model([helper.make_node("GridSample", ["x", "g"], ["y"], **given)], {"x": [1, 1, 1, 5]}, {"y": None})
    proto.graph.input.append(helper.make_tensor_value_info("g", TensorProto.FLOAT, [1, 1, 1, 2]))
    agree(proto, {"x": np.arange(5, dtype="float32").reshape(1, 1, 1, 5), "g": np.float32([[[[1.3, 0]]]])})
