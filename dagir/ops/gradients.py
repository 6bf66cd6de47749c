"""What matters to training alone."""

from __future__ import annotations

from dagir.ir.graph import Operand, Value
from dagir.ops.elementwise import Unary, unary

__all__ = [
    "StopGradient",
    "stop_gradient",
]


class StopGradient(Unary):
    """x, through which no gradient flows back in training.  keras.ops.stop_gradient."""

    accepts = "any"


def stop_gradient(variable: Operand) -> Value:
    """The same value, which training takes for a constant."""
    return unary(StopGradient(), variable)
