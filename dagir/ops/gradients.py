"""What matters to training alone."""

from __future__ import annotations

from typing import Any

from dagir.ir.graph import Value
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


def stop_gradient(variable: Any) -> Value:
    """The same value, which training takes for a constant."""
    return unary(StopGradient(), variable)
