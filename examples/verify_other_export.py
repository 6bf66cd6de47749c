"""The export of another tool is judged by an error budget: one that is right passes, one with a fault is told where.

The other tool is played by onnx itself: it writes its own names, and the second time forgets a bias.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import dagir
from dagir import layers

x = dagir.Input((8,), name="features")
hidden = layers.Dense(16, activation="relu", name="hidden")(x)
model = dagir.Model(x, layers.Dense(3, activation="softmax", name="classes")(hidden))
rng = np.random.default_rng(0)
for weight in model.weights:
    weight.assign(rng.normal(size=weight.shape))


def write_theirs(path: str, forget: bool) -> None:
    """The same network as another tool writes it."""
    arrays = dict(zip(("w0", "b0", "w1", "b1"), (weight.numpy() for weight in model.weights), strict=True))
    if forget:
        arrays["b0"] = np.zeros_like(arrays["b0"])
    nodes = [
        helper.make_node("Gemm", ["input:0", "w0", "b0"], ["h"], "Gemm_0"),
        helper.make_node("Relu", ["h"], ["r"], "Relu_1"),
        helper.make_node("Gemm", ["r", "w1", "b1"], ["z"], "Gemm_2"),
        helper.make_node("Softmax", ["z"], ["Identity:0"], "Softmax_3", axis=-1),
    ]
    ends = (
        [helper.make_tensor_value_info("input:0", TensorProto.FLOAT, ["N", 8])],
        [helper.make_tensor_value_info("Identity:0", TensorProto.FLOAT, ["N", 3])],
    )
    stored = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "theirs", *ends, stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


write_theirs("theirs.onnx", forget=False)
assert dagir.verify(model, "theirs.onnx").ok

write_theirs("forgot.onnx", forget=True)
report = dagir.verify(model, "forgot.onnx")
assert not report.ok
print(report)  # names the first node that diverges
