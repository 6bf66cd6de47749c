"""Reductions that are composed of others: counts, weighted means, norms, and reductions that ignore NaN."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nan

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim, max_dim
from dagir.ir.graph import Operand, Value
from dagir.ir.operands import as_value
from dagir.ir.types import DType, normalize_axes, normalize_axis
from dagir.ops.arithmetic import divide, maximum, multiply, power, subtract
from dagir.ops.conv import conv
from dagir.ops.elementwise import absolute, cast, sqrt, square
from dagir.ops.linear import matmul
from dagir.ops.logic import isnan, logical_not, not_equal, where
from dagir.ops.numerics import clip
from dagir.ops.operands import require
from dagir.ops.padding import pad
from dagir.ops.reduce import Axes, all, argmax, argmin, max, mean, min, prod, sum, var
from dagir.ops.reduce import max as amax
from dagir.ops.reduce import min as amin
from dagir.ops.shape import expand_dims, reshape, squeeze, take, transpose
from dagir.ops.sizes import counted

__all__ = [
    "amax",
    "amin",
    "average",
    "corrcoef",
    "correlate",
    "count_nonzero",
    "moments",
    "nanargmax",
    "nanargmin",
    "nanmax",
    "nanmean",
    "nanmin",
    "nanprod",
    "nanstd",
    "nansum",
    "nanvar",
    "norm",
    "normalize",
    "ptp",
]


def _as_float(x: Operand) -> Value:
    value = as_value(x)
    return value if value.dtype.is_float else cast(value, DType.FLOAT32)


def count_nonzero(x: Operand, axis: Axes = None) -> Value:
    """How many elements along the axes are not 0, int32.

    >>> show(ops.count_nonzero([0, 5, 6]))
    2
    """
    return sum(cast(cast(x, DType.BOOL), DType.INT32), axis)


def ptp(x: Operand, axis: Axes = None, keepdims: bool = False) -> Value:
    """The largest minus the smallest along the axes.

    >>> show(ops.ptp([1.0, 9.0, 4.0]))
    8.0
    """
    value = as_value(x)
    return subtract(max(value, axis, keepdims), min(value, axis, keepdims))


def average(x: Operand, axis: Axes = None, weights: Operand | None = None) -> Value:
    """The mean along the axes, each element counted by its weight. weights: shaped as x, or a vector along the axis.

    >>> show(ops.average([1.0, 4.0], weights=[3.0, 1.0]))
    1.75
    """
    value = _as_float(x)
    if weights is None:
        return mean(value, axis)
    weight = as_value(weights, like=value)
    weight = weight if weight.dtype.is_float else cast(weight, value.dtype)
    if weight.ndim == value.ndim:
        axes = normalize_axes(axis, value.ndim)
        _refuse_repeated([(weight.type.shape[each], value.type.shape[each]) for each in axes])
        return divide(sum(multiply(value, weight), axis), sum(weight, axis))
    if weight.ndim != 1 or not isinstance(axis, int):
        raise ShapeError("weights have the shape of x, or are a vector along one axis that is given")
    place = normalize_axis(axis, value.ndim)
    _refuse_repeated([(weight.type.shape[0], value.type.shape[place])])
    spread = reshape(weight, (-1, *(1,) * (value.ndim - place - 1)))
    return divide(sum(multiply(value, spread), axis), sum(weight))


def _refuse_repeated(sizes: Sequence[tuple[Dim, Dim]]) -> None:
    """Raise ShapeError for one weight for several elements of an axis: it would be counted once in the sum of all.

    sizes: of the weights and of x, for each axis of the mean.
    """
    for own, size in sizes:
        if own == 1 != size:
            raise ShapeError(f"there is one weight for an axis of size {size}", remedy="use ops.broadcast_to first")


def corrcoef(x: Operand) -> Value:
    """The correlation of the rows with each other, from -1 to 1: f[n, d] -> f[n, n]; of a vector, 1.

    >>> show(ops.corrcoef([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    value = _as_float(x)
    if value.ndim not in (1, 2):
        raise ShapeError(f"corrcoef takes rows of observations, got {value.type}")
    rows = value if value.ndim == 2 else expand_dims(value, 0)
    apart = subtract(rows, mean(rows, -1, True))
    products = matmul(apart, transpose(apart))
    spread = sqrt(sum(square(apart), -1))
    found = clip(divide(products, multiply(expand_dims(spread, 1), expand_dims(spread, 0))), -1.0, 1.0)
    return found if value.ndim == 2 else reshape(found, ())


def correlate(x1: Operand, x2: Operand, mode: str = "valid") -> Value:
    """The sums of products of a vector and another one that moves along it: f[m], f[n] -> f[k].

    mode: "valid" where x2 lies within x1, k = m - n + 1; "full" wherever they overlap, k = m + n - 1; "same" the middle
    of that, k = max(m, n). Integers become float32.

    >>> show(ops.correlate([1.0, 2.0, 3.0], [0.0, 1.0], "full"))
    [1.0, 2.0, 3.0, 0.0]
    """
    first, second = as_value(x1), as_value(x2)
    if mode not in ("valid", "same", "full"):
        raise ArgumentError(f"correlate has the modes 'valid', 'same' and 'full', got {mode!r}")
    if first.ndim != 1 or second.ndim != 1:
        raise ShapeError(f"correlate takes vectors, got {first.type} and {second.type}")
    first, second = _as_float(first), _as_float(second)
    (m,), (n,) = first.type.shape, second.type.shape
    if mode != "valid":
        first = pad(first, ((n - 1, n - 1),))
    elif isinstance(m, int) and isinstance(n, int) and m < n:
        raise ShapeError(f"a vector of {n} does not lie within one of {m}", remedy="exchange the two")
    found = reshape(conv(reshape(first, (1, -1, 1)), reshape(second, (n, 1, 1))), (-1,))
    if mode != "same":
        return found
    start = (m + n - 1 - max_dim(m, n)) // 2
    return take(found, counted(max_dim(m, n), start))


def moments(x: Operand, axes: Axes, keepdims: bool = False, synchronized: bool = False) -> tuple[Value, Value]:
    """The mean and the population variance along the axes.

    synchronized: of several devices, refused.

    >>> show(*ops.moments([1.0, 3.0], axes=0))
    2.0
    1.0
    """
    if synchronized:
        raise ArgumentError("moments are taken of one device's values", remedy="leave synchronized False")
    return mean(x, axes, keepdims), var(x, axes, keepdims)


def _filled(x: Operand, fill: float) -> tuple[Value, Value]:
    """x with a number in place of NaN, and a mask of the elements that were not NaN."""
    value = as_value(x)
    require("float", value.type)
    missing = isnan(value)
    return where(missing, fill, value), logical_not(missing)


def nansum(x: Operand, axis: Axes = None, keepdims: bool = False) -> Value:
    """The sum along the axes, NaN left out.

    >>> show(ops.nansum([1.0, np.nan, 3.0]))
    4.0
    """
    return sum(_filled(x, 0.0)[0], axis, keepdims)


def nanprod(x: Operand, axis: Axes = None, keepdims: bool = False) -> Value:
    """The product along the axes, NaN left out.

    >>> show(ops.nanprod([2.0, np.nan, 3.0]))
    6.0
    """
    return prod(_filled(x, 1.0)[0], axis, keepdims)


def nanmax(x: Operand, axis: Axes = None, keepdims: bool = False) -> Value:
    """The largest along the axes, NaN left out; NaN where there is nothing else.

    >>> show(ops.nanmax([1.0, np.nan, 3.0]))
    3.0
    """
    filled, known = _filled(x, -inf)
    return where(all(logical_not(known), axis, keepdims), nan, max(filled, axis, keepdims))


def nanmin(x: Operand, axis: Axes = None, keepdims: bool = False) -> Value:
    """The smallest along the axes, NaN left out; NaN where there is nothing else.

    >>> show(ops.nanmin([1.0, np.nan, 3.0]))
    1.0
    """
    filled, known = _filled(x, inf)
    return where(all(logical_not(known), axis, keepdims), nan, min(filled, axis, keepdims))


def nanargmax(x: Operand, axis: int | None = None, keepdims: bool = False) -> Value:
    """The place of the first largest, NaN left out, int32; -1 where there is nothing else, as Keras has it.

    >>> show(ops.nanargmax([1.0, np.nan, 3.0]))
    2
    """
    filled, known = _filled(x, -inf)
    return where(all(logical_not(known), axis, keepdims), -1, argmax(filled, axis, keepdims))


def nanargmin(x: Operand, axis: int | None = None, keepdims: bool = False) -> Value:
    """The place of the first smallest, NaN left out, int32; -1 where there is nothing else, as Keras has it.

    >>> show(ops.nanargmin([np.nan, 2.0, 3.0]))
    1
    """
    filled, known = _filled(x, inf)
    return where(all(logical_not(known), axis, keepdims), -1, argmin(filled, axis, keepdims))


def nanmean(x: Operand, axis: Axes = None, keepdims: bool = False) -> Value:
    """The mean along the axes, NaN left out; NaN where there is nothing else.

    >>> show(ops.nanmean([1.0, np.nan, 3.0]))
    2.0
    """
    filled, known = _filled(x, 0.0)
    return divide(sum(filled, axis, keepdims), sum(cast(known, filled.dtype), axis, keepdims))


def nanvar(x: Operand, axis: Axes = None, keepdims: bool = False) -> Value:
    """The population variance along the axes, NaN left out; NaN where there is nothing else.

    >>> show(ops.nanvar([1.0, np.nan, 3.0]))
    1.0
    """
    value = as_value(x)
    return nanmean(square(subtract(value, nanmean(value, axis, keepdims=True))), axis, keepdims)


def nanstd(x: Operand, axis: Axes = None, keepdims: bool = False) -> Value:
    """The population standard deviation along the axes, NaN left out.

    >>> show(ops.nanstd([1.0, np.nan, 3.0]))
    1.0
    """
    return sqrt(nanvar(x, axis, keepdims))


def norm(x: Operand, ord: float | str | None = None, axis: Axes = None, keepdims: bool = False) -> Value:
    """The norm of vectors along one axis, or of matrices along two; of x flattened where neither axis nor ord is given.

    ord, vectors: a number, inf, -inf, 0; matrices: "fro", 1, -1, inf, -inf. Those of singular values are not offered.

    >>> show(ops.norm([3.0, 4.0]))
    5.0
    """
    value = _as_float(x)
    if axis is None and ord is None:
        return sqrt(sum(square(value), None, keepdims))
    axes = tuple(range(value.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(normalize_axis(each, value.ndim) for each in axes)
    if len(axes) == 1:
        return _vector_norm(value, 2 if ord is None else ord, axes[0], keepdims)
    if len(axes) == 2:
        return _matrix_norm(value, "fro" if ord is None else ord, axes, keepdims)
    raise ArgumentError(f"a norm is taken along one axis or two, got {axis!r} for {value.type}")


def _vector_norm(x: Value, ord: float | str, axis: int, keepdims: bool) -> Value:
    size = absolute(x)
    if ord == inf:
        return max(size, axis, keepdims)
    if ord == -inf:
        return min(size, axis, keepdims)
    if ord == 0:
        return sum(cast(not_equal(x, 0.0), x.dtype), axis, keepdims)
    if ord == 1:
        return sum(size, axis, keepdims)
    if ord == 2:
        return sqrt(sum(square(x), axis, keepdims))
    if isinstance(ord, str):
        raise ArgumentError(f"there is no norm {ord!r} of vectors", remedy="give two axes, or a number")
    return power(sum(power(size, float(ord)), axis, keepdims), 1.0 / ord)


def _matrix_norm(x: Value, ord: float | str, axes: tuple[int, int], keepdims: bool) -> Value:
    if ord == "fro":
        return sqrt(sum(square(x), axes, keepdims))
    if ord not in (1, -1, inf, -inf):
        raise ArgumentError(f"the matrix norm {ord!r} is not offered", remedy="use 'fro', 1, -1, inf or -inf")
    summed, kept = axes if ord in (1, -1) else axes[::-1]
    extreme = max if ord in (1, inf) else min
    found = extreme(sum(absolute(x), summed, True), kept, True)
    return found if keepdims else squeeze(found, axes)


def normalize(x: Operand, axis: int = -1, order: float = 2, epsilon: float | None = None) -> Value:
    """x divided by its norm along the axis; the norm is at least epsilon.

    order: of the norm, as `ord` of `norm`.

    >>> show(ops.normalize([[3.0, 4.0]]))
    [[0.6, 0.8]]
    """
    value = _as_float(x)
    smallest = 1e-7 if epsilon is None else float(epsilon)
    if order == 2:
        size = sqrt(maximum(sum(square(value), axis, True), smallest**2))
        return divide(value, size)
    return divide(value, maximum(norm(value, order, axis, True), smallest))
