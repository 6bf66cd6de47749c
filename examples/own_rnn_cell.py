"""A recurrent cell of your own, and a loop that ends when the data say so: both become nodes of the ONNX file."""

import numpy as np
import onnx

import dagir
from dagir import layers, ops


class Leaky(dagir.Layer):
    """A cell that forgets half of its state at each step."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape):
        """Two kernels."""
        self.kernel = self.add_weight((input_shape[-1], self.units), name="kernel")
        self.recurrent = self.add_weight((self.units, self.units), name="recurrent")

    def call(self, inputs, states):
        """One step: float[batch, features], [float[batch, units]] -> the same state twice."""
        h = 0.5 * states[0] + ops.tanh(ops.matmul(inputs, self.kernel) + ops.matmul(states[0], self.recurrent))
        return h, [h]


def settled(x):
    """x halved until its largest number is below 1, as often as that takes."""
    return ops.while_loop(lambda y: ops.max(ops.abs(y)) >= 1.0, lambda y: (y / 2.0,), (x,))[0]


steps = dagir.Input(shape=("time", 4), name="steps")
hidden = layers.RNN(Leaky(8), name="leaky")(steps)
model = dagir.Model(steps, layers.Dense(2, name="answer")(settled(hidden)), name="own_cell")

dagir.to_onnx(model, "own_cell.onnx", verify=True)  # compared with the float64 evaluation, loops and all
kinds = {node.op_type for node in onnx.load("own_cell.onnx").graph.node}
assert kinds >= {"Scan", "Loop"}, kinds
run = dagir.lower(model, "onnx")
for length in (1, 7, 30):  # the length is not fixed
    x = 3 * np.random.default_rng(length).normal(size=(2, length, 4)).astype("float32")
    assert np.allclose(run(x), dagir.lower(model)(x), atol=1e-5)
print("own_cell.onnx holds", ", ".join(sorted(kinds)))
