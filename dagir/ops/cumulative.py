"""Running sums and products, and differences of neighbours."""

from __future__ import annotations

from dataclasses import dataclass

from dagir.errors import ArgumentError
from dagir.ir.graph import Op, Operand, Types, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import ROUNDED, Rounding
from dagir.ir.types import DType, DTypeLike, TensorType, normalize_axis
from dagir.ops.arithmetic import add, multiply, subtract
from dagir.ops.elementwise import cast
from dagir.ops.logic import isnan, not_equal, where
from dagir.ops.operands import require
from dagir.ops.reduce import sum as reduce_sum
from dagir.ops.shape import reshape

__all__ = [
    "CumProd",
    "CumSum",
    "cumprod",
    "cumsum",
    "diff",
    "nancumprod",
    "nancumsum",
    "trapezoid",
]


@dataclass(frozen=True)
class _Running(Op):
    rounding = ROUNDED
    axis: int

    def infer(self, x: TensorType) -> Types:
        """The type of x."""
        require("number", x)
        normalize_axis(self.axis, x.rank)
        return (x,)


@dataclass(frozen=True)
class CumSum(_Running):
    """x: t[*s] -> t[*s]: each element plus all before it along `axis`.  NumPy cumsum; ONNX CumSum-14.

    exclusive: all before it alone.
    """

    rounding = Rounding(adds=True)
    exclusive: bool = False


class CumProd(_Running):
    """x: t[*s] -> t[*s]: each element times all before it along `axis`.  NumPy cumprod."""

    rounding = ROUNDED


def _cumulate(cls: type[_Running], x: Operand, axis: int | None, dtype: DTypeLike | None) -> Value:
    value = as_value(x)
    if dtype is not None or value.dtype is DType.BOOL:
        value = cast(value, dtype or DType.INT32)
    if axis is None:
        return apply(cls(0), reshape(value, (-1,)))
    return apply(cls(normalize_axis(axis, value.ndim)), value)


def cumsum(x: Operand, axis: int | None = None, dtype: DTypeLike | None = None) -> Value:
    """Running sums along the axis; of x flattened where axis is None. Bools are counted, as int32.

    >>> show(ops.cumsum([1, 2, 3]))
    [1, 3, 6]
    """
    return _cumulate(CumSum, x, axis, dtype)


def cumprod(x: Operand, axis: int | None = None, dtype: DTypeLike | None = None) -> Value:
    """Running products along the axis; of x flattened where axis is None.

    >>> show(ops.cumprod([1, 2, 3]))
    [1, 2, 6]
    """
    return _cumulate(CumProd, x, axis, dtype)


def nancumsum(x: Operand, axis: int | None = None, dtype: DTypeLike | None = None) -> Value:
    """Running sums, NaN counted as 0.

    >>> show(ops.nancumsum([1.0, np.nan, 3.0]))
    [1.0, 1.0, 4.0]
    """
    return cumsum(_without_nan(x, 0.0), axis, dtype)


def nancumprod(x: Operand, axis: int | None = None, dtype: DTypeLike | None = None) -> Value:
    """Running products, NaN counted as 1.

    >>> show(ops.nancumprod([2.0, np.nan, 3.0]))
    [2.0, 2.0, 6.0]
    """
    return cumprod(_without_nan(x, 1.0), axis, dtype)


def _without_nan(x: Operand, fill: float) -> Value:
    value = as_value(x)
    return where(isnan(value), fill, value) if value.dtype.is_float else value


def _neighbours(value: Value, axis: int) -> tuple[Value, Value]:
    lead = (slice(None),) * axis
    return value[(*lead, slice(1, None))], value[(*lead, slice(None, -1))]


def diff(a: Operand, n: int = 1, axis: int = -1) -> Value:
    """Each element minus the one before it along the axis, repeated n times; for bools whether they differ.

    a: numbers or bools.

    >>> show(ops.diff([1, 4, 9]))
    [3, 5]
    """
    value = as_value(a)
    if n < 0:
        raise ArgumentError(f"diff takes n of at least 0, got {n}")
    place = normalize_axis(axis, value.ndim)
    for _ in range(n):
        value = (not_equal if value.dtype is DType.BOOL else subtract)(*_neighbours(value, place))
    return value


def trapezoid(y: Operand, x: Operand | None = None, dx: float = 1.0, axis: int = -1) -> Value:
    """The integral along the axis by trapezoids, over points x, or points dx apart.

    >>> show(ops.trapezoid([1.0, 2.0, 3.0]))
    4.0
    """
    value = as_value(y)
    value = value if value.dtype.is_float else cast(value, DType.FLOAT32)
    place = normalize_axis(axis, value.ndim)
    heights = multiply(add(*_neighbours(value, place)), 0.5)
    if x is None:
        return multiply(reduce_sum(heights, axis=place), float(dx))
    points = as_value(x, like=value)
    if points.ndim == 1:
        widths = reshape(diff(points), (-1, *(1,) * (value.ndim - place - 1)))
    else:
        widths = diff(points, axis=axis)
    return reduce_sum(multiply(heights, widths), axis=place)
