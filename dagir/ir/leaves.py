"""Leaves: the values whose numbers are known while a graph is written."""

from __future__ import annotations

from dagir.ir.graph import Constant, Parameter, Value


def is_leaf(value: Value) -> bool:
    """Whether a value is a weight or a constant."""
    return isinstance(value.source, (Parameter, Constant))
