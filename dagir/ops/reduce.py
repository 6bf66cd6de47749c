"""Reductions over axes. Names and meanings are those of keras.ops and NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np

from dagir.ir.equal_terms import drifting, summed
from dagir.ir.graph import Op, Operand, Types, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import COMPOUND, EXACT, ROUNDED, Disturbed, Rounding, of_squares_less_square
from dagir.ir.types import Array, DType, DTypeLike, Shape, TensorType, normalize_axes, normalize_axis
from dagir.ops.arithmetic import maximum, minimum
from dagir.ops.elementwise import cast, sqrt
from dagir.ops.operands import require
from dagir.ops.shape import reshape

Axes: TypeAlias = int | Sequence[int] | None

__all__ = [
    "ArgMax",
    "ArgMin",
    "ReduceAll",
    "ReduceAny",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "Variance",
    "all",
    "any",
    "argmax",
    "argmin",
    "logsumexp",
    "max",
    "mean",
    "min",
    "prod",
    "std",
    "sum",
    "var",
]


@dataclass(frozen=True)
class Reduce(Op):
    """x: t[*s] -> t[*s without `axes`]; with keepdims they stay, of size 1. No axes: x itself."""

    accepts: ClassVar[str] = "number"
    axes: tuple[int, ...]
    keepdims: bool = False

    def infer(self, x: TensorType) -> Types:
        """The shape without the axes."""
        require(self.accepts, x)
        return (x.with_shape(_reduced(x, normalize_axes(self.axes, x.rank), self.keepdims)),)


def _reduced(x: TensorType, axes: Sequence[int], keepdims: bool) -> Shape:
    if keepdims:
        return tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
    return tuple(size for axis, size in enumerate(x.shape) if axis not in axes)


class ReduceSum(Reduce):
    """x: t[*s] -> t[*s without `axes`]: the sum.  ONNX ReduceSum-13."""

    rounding = Rounding(adds=True, errors=(drifting,), first_order=summed)


class ReduceMean(Reduce):
    """x: f[*s] -> f[*s without `axes`]: the mean.  ONNX ReduceMean-18."""

    rounding = Rounding(compound=True, errors=(drifting,), first_order=summed)
    needs_elements = True
    accepts = "float"


class ReduceMax(Reduce):
    """x: t[*s] -> t[*s without `axes`]: the largest.  ONNX ReduceMax-18."""

    rounding = EXACT
    needs_elements = True


class ReduceMin(Reduce):
    """x: t[*s] -> t[*s without `axes`]: the smallest.  ONNX ReduceMin-18."""

    rounding = EXACT
    needs_elements = True


class ReduceProd(Reduce):
    """x: t[*s] -> t[*s without `axes`]: the product.  ONNX ReduceProd-18."""

    rounding = ROUNDED


class ReduceAny(Reduce):
    """x: bool[*s] -> bool[*s without `axes`]: whether any is true.  NumPy any."""

    rounding = EXACT
    accepts = "bool"


class ReduceAll(Reduce):
    """x: bool[*s] -> bool[*s without `axes`]: whether all are true.  NumPy all."""

    rounding = EXACT
    accepts = "bool"


def _from_squares(op: Variance, sample: Disturbed) -> Array:
    """As the mean of the squares less the square of the mean, as keras.ops.moments: their rounding stays."""
    (x,) = sample.operands
    assert x is not None
    of_squares, mean = (each.mean(axis=op.axes, keepdims=op.keepdims) for each in (np.square(x), x))
    return np.asarray(sample.result + of_squares_less_square(sample, np.asarray(of_squares), np.square(mean)))


class Variance(Reduce):
    """x: f[*s] -> f[*s without `axes`]: mean((x - mean(x))**2), of the population.  NumPy var."""

    rounding = Rounding(compound=True, errors=(_from_squares,))
    nonnegative = True
    needs_elements = True
    accepts = "float"


class ReduceLogSumExp(Reduce):
    """x: f[*s] -> f[*s without `axes`]: log(sum(e**x)), no overflow.  keras.ops.logsumexp; ONNX ReduceLogSumExp-18."""

    rounding = COMPOUND
    accepts = "float"


@dataclass(frozen=True)
class ArgMax(Op):
    """x: t[*s] -> int32[*s without `axis`]: the place of the first largest, or of the last one where `last` is set.

    dtype: int32 or int64.  keras.ops.argmax; ONNX ArgMax-13.
    """

    rounding = EXACT
    needs_elements = True
    axis: int
    keepdims: bool = False
    last: bool = False
    dtype: DType = DType.INT32

    def infer(self, x: TensorType) -> Types:
        """The shape without the axis, int32."""
        require("number", x)
        axis = normalize_axis(self.axis, x.rank)
        return (TensorType(self.dtype, _reduced(x, (axis,), self.keepdims)),)


class ArgMin(ArgMax):
    """x: t[*s] -> int32[*s without `axis`]: the place of the first smallest, as ArgMax.  ONNX ArgMin-13."""

    rounding = EXACT


def _reduce(cls: type[Reduce], x: Operand, axis: Axes, keepdims: bool) -> Value:
    value = as_value(x)
    return apply(cls(normalize_axes(axis, value.ndim), bool(keepdims)), value)


def _as_float(x: Operand) -> Value:
    value = as_value(x)
    return value if value.dtype.is_float else cast(value, DType.FLOAT32)


_WIDER = {
    **dict.fromkeys((DType.BOOL, DType.INT8, DType.INT16), DType.INT32),
    **dict.fromkeys((DType.UINT8, DType.UINT16), DType.UINT32),
}


def _widened(x: Operand) -> Value:
    value = as_value(x)
    return cast(value, _WIDER.get(value.dtype, value.dtype))


def sum(x: Operand, axis: Axes = None, keepdims: bool = False) -> Value:
    """The sum along the axes, all of them by default; bools and integers below 32 bits as 32 bits, as Keras has it.

    >>> show(ops.sum([[1.0, 3.0], [5.0, 7.0]], axis=-1))
    [4.0, 12.0]
    """
    return _reduce(ReduceSum, _widened(x), axis, keepdims)


def mean(x: Operand, axis: Axes = None, keepdims: bool = False) -> Value:
    """The mean along the axes; integers become float32 first.

    >>> show(ops.mean([[1.0, 3.0], [5.0, 7.0]], axis=-1))
    [2.0, 6.0]
    """
    return _reduce(ReduceMean, _as_float(x), axis, keepdims)


def max(x: Operand, axis: Axes = None, keepdims: bool = False, initial: float | None = None) -> Value:
    """The largest along the axes, and of `initial` where it is given.

    >>> show(ops.max([[1, 5], [7, 2]], axis=0))
    [7, 5]
    """
    found = _reduce(ReduceMax, x, axis, keepdims)
    return found if initial is None else maximum(found, initial)


def min(x: Operand, axis: Axes = None, keepdims: bool = False, initial: float | None = None) -> Value:
    """The smallest along the axes, and of `initial` where it is given.

    >>> show(ops.min([[1, 5], [7, 2]], axis=0))
    [1, 2]
    """
    found = _reduce(ReduceMin, x, axis, keepdims)
    return found if initial is None else minimum(found, initial)


def prod(x: Operand, axis: Axes = None, keepdims: bool = False, dtype: DTypeLike | None = None) -> Value:
    """The product along the axes; bools and integers below 32 bits as 32 bits, as Keras has it.

    >>> show(ops.prod([2, 3, 4]))
    24
    """
    return _reduce(ReduceProd, _widened(x) if dtype is None else cast(x, dtype), axis, keepdims)


def any(x: Operand, axis: Axes = None, keepdims: bool = False) -> Value:
    """Whether any element along the axes is true; a number is true where it is not 0.

    >>> show(ops.any([[True, False], [False, False]], axis=1))
    [True, False]
    """
    return _reduce(ReduceAny, cast(x, DType.BOOL), axis, keepdims)


def all(x: Operand, axis: Axes = None, keepdims: bool = False) -> Value:
    """Whether all elements along the axes are true; a number is true where it is not 0.

    >>> show(ops.all([[True, True], [True, False]], axis=1))
    [True, False]
    """
    return _reduce(ReduceAll, cast(x, DType.BOOL), axis, keepdims)


def var(x: Operand, axis: Axes = None, keepdims: bool = False) -> Value:
    """The population variance along the axes; integers become float32 first.

    >>> show(ops.var([1.0, 3.0]))
    1.0
    """
    return _reduce(Variance, _as_float(x), axis, keepdims)


def std(x: Operand, axis: Axes = None, keepdims: bool = False) -> Value:
    """The population standard deviation along the axes.

    >>> show(ops.std([1.0, 3.0]))
    1.0
    """
    return sqrt(var(x, axis, keepdims))


def logsumexp(x: Operand, axis: Axes = None, keepdims: bool = False) -> Value:
    """log(sum(e**x)) along the axes, without overflow.

    >>> show(ops.logsumexp([[0.0, 0.0]], axis=-1))
    [0.6931]
    """
    return _reduce(ReduceLogSumExp, x, axis, keepdims)


def argmax(x: Operand, axis: int | None = None, keepdims: bool = False) -> Value:
    """The place of the first largest along the axis, int32; in x flattened where axis is None.

    >>> show(ops.argmax([3, 9, 9]))
    1
    """
    return _arg(ArgMax, x, axis, keepdims)


def argmin(x: Operand, axis: int | None = None, keepdims: bool = False) -> Value:
    """The place of the first smallest along the axis, int32; in x flattened where axis is None.

    >>> show(ops.argmin([3, 1, 1]))
    1
    """
    return _arg(ArgMin, x, axis, keepdims)


def _arg(cls: type[ArgMax], x: Operand, axis: int | None, keepdims: bool) -> Value:
    value = as_value(x)
    if axis is not None:
        return apply(cls(normalize_axis(axis, value.ndim), bool(keepdims)), value)
    found = apply(cls(0), reshape(value, (-1,)))
    return reshape(found, (1,) * value.ndim) if keepdims else found
