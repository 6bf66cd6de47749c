"""Counts and sizes as arguments of ops: an int, or a named size; and integers beside them."""

from __future__ import annotations

from operator import index
from typing import Any

from dagir.errors import ArgumentError
from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.graph import Operand, Value
from dagir.ir.operands import as_value
from dagir.ir.types import DType
from dagir.ops.elementwise import cast
from dagir.ops.operands import require

_LARGE = (DType.UINT32, DType.INT64, DType.UINT64)


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


def countable(x: Operand) -> Value:
    """Integers or bools as int32 or int64, in which a count can stand beside them: 300 is 44 in uint8.

    Raises DTypeError.
    """
    value = as_value(x)
    if value.dtype is not DType.BOOL:
        require("integer", value.type)
    return cast(value, DType.INT64 if value.dtype in _LARGE else DType.INT32)
