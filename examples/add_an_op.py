"""An op of your own: its attributes, its shape rule, what it means in NumPy, and how ONNX computes it."""

from dataclasses import dataclass

import numpy as np

import dagir
from dagir_numpy.rules import rules as numpy_rules
from dagir_onnx.rules import rules as onnx_rules


@dataclass(frozen=True)
class Softshrink(dagir.Op):
    """x: f[*s] -> f[*s]; x moved towards zero by the bound, and zero within it."""

    bound: float = 0.5

    def infer(self, x):
        """The type of x."""
        return (x,)


@numpy_rules.rule(Softshrink)
def softshrink(op, x):
    """What it means; in float64 it is the judge."""
    return np.sign(x) * np.maximum(np.abs(x) - op.bound, 0)


@onnx_rules.rule(Softshrink)
def softshrink_onnx(op, emit, x):
    """ONNX has an operator for it."""
    return emit("Shrink", x, bias=op.bound, lambd=op.bound)


x = dagir.Input((4,), name="x")
model = dagir.Model(x, dagir.apply(Softshrink(0.25), x))
report = dagir.verify(model, backends=("numpy", "onnx"))
print(report)
assert report.ok
dagir.to_onnx(model, "shrunk.onnx", verify=True)
