"""Counts and sizes as arguments of ops: an int, or a named size."""

from __future__ import annotations

from operator import index
from typing import Any

from dagir.errors import ArgumentError
from dagir.ir.dims import Dim, SymbolicDim


def count_from(function: str, what: str, given: Any) -> Dim:
    """An int or a named size. Raises ArgumentError, also for None, `x.shape`'s word for an unknown size."""
    if isinstance(given, SymbolicDim):
        return given
    if given is None:
        raise ArgumentError(
            f"{function} takes an int or a named size for {what}, got None",
            remedy="x.shape has None for a size known at run time only, ops.shape(x) has its name: use that",
        )
    try:
        return index(given) if not isinstance(given, float) or given != int(given) else int(given)
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(f"{function} takes an int or a named size for {what}, got {given!r}") from None
