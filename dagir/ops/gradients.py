"""What matters to training alone."""

from __future__ import annotations

from dagir.ir.graph import Operand, Value
from dagir.ir.rounding import EXACT
from dagir.ops.operands import Unary, unary

__all__ = [
    "StopGradient",
    "stop_gradient",
]


class StopGradient(Unary):
    """x, through which no gradient flows back in training.  keras.ops.stop_gradient."""

    rounding = EXACT
    moves_only = True
    accepts = "any"


def stop_gradient(variable: Operand) -> Value:
    """The same value, which training treats as a constant.

    variable: a value or a weight.

    >>> show(ops.stop_gradient([1.0, 2.0]))
    [1.0, 2.0]
    """
    return unary(StopGradient(), variable)
