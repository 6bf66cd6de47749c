"""Medians, percentiles and quantiles, of all elements or of those that are not NaN."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor as round_down
from math import inf, nan

import numpy as np

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.graph import Operand, Value
from dagir.ir.operands import as_value
from dagir.ir.types import Array, DType, normalize_axes
from dagir.ops.arithmetic import add, multiply
from dagir.ops.elementwise import cast
from dagir.ops.logic import equal, isnan, logical_not, where
from dagir.ops.reduce import Axes, any
from dagir.ops.reduce import sum as total
from dagir.ops.scatter import take_along_axis
from dagir.ops.shape import expand_dims, reshape, squeeze, take, transpose
from dagir.ops.sorting import sort
from dagir.ops.stacking import stack

__all__ = ["median", "nanmedian", "nanpercentile", "nanquantile", "percentile", "quantile"]

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")
Numbers = float | Sequence[float]


def median(x: Operand, axis: Axes = None, keepdims: bool = False) -> Value:
    """The middle of the sorted elements along the axes, or the mean of the two in the middle.

    >>> show(ops.median([1.0, 9.0, 2.0]))
    2.0
    """
    return quantile(x, 0.5, axis, keepdims=keepdims)


def nanmedian(x: Operand, axis: Axes = None, keepdims: bool = False) -> Value:
    """The median along the axes, NaN left out; NaN where there is nothing else.

    >>> show(ops.nanmedian([1.0, np.nan, 9.0, 2.0]))
    2.0
    """
    return nanquantile(x, 0.5, axis, keepdims=keepdims)


def percentile(x: Operand, q: Numbers, axis: Axes = None, method: str = "linear", keepdims: bool = False) -> Value:
    """The quantiles at q in percent.

    method: as for `quantile`.

    >>> show(ops.percentile([1.0, 2.0, 3.0], 50))
    2.0
    """
    return quantile(x, (np.asarray(q, float) / 100).tolist(), axis, method, keepdims)


def nanpercentile(x: Operand, q: Numbers, axis: Axes = None, method: str = "linear", keepdims: bool = False) -> Value:
    """The quantiles at q in percent, NaN left out; NaN where there is nothing else.

    method: as for `quantile`.

    >>> show(ops.nanpercentile([1.0, np.nan, 3.0], 50))
    2.0
    """
    return nanquantile(x, (np.asarray(q, float) / 100).tolist(), axis, method, keepdims)


def quantile(x: Operand, q: Numbers, axis: Axes = None, method: str = "linear", keepdims: bool = False) -> Value:
    """The value with a share q of the elements along the axes below it; several q make a new first axis.

    NaN if there is a NaN among them. The axes must have known sizes. method: how to interpolate between two elements:
    linear, lower, higher, midpoint or nearest.

    >>> show(ops.quantile([1.0, 2.0, 3.0], 0.25))
    1.5
    """
    value, shares = _as_float(x), _shares(q, method)
    axes = normalize_axes(axis, value.ndim)
    lanes, count = _lanes(value, axes)
    ordered = sort(lanes)
    missing = any(isnan(ordered), axis=-1)
    parts = [_at(ordered, share * (count - 1), method) for share in shares.reshape(-1).tolist()]
    return _joined([where(missing, nan, part) for part in parts], shares, axes, keepdims)


def nanquantile(x: Operand, q: Numbers, axis: Axes = None, method: str = "linear", keepdims: bool = False) -> Value:
    """The quantiles at q, NaN left out; NaN where there is nothing else.

    method: as for `quantile`.

    >>> show(ops.nanquantile([1.0, np.nan, 2.0, 3.0], 0.25))
    1.5
    """
    value, shares = _as_float(x), _shares(q, method)
    axes = normalize_axes(axis, value.ndim)
    lanes, count = _lanes(value, axes)
    missing = isnan(lanes)
    ordered = sort(where(missing, inf, lanes))
    known = total(cast(logical_not(missing), DType.INT32), -1)
    parts = [_among(ordered, known, count, share, method) for share in shares.reshape(-1).tolist()]
    return _joined([where(equal(known, 0), nan, part) for part in parts], shares, axes, keepdims)


def _as_float(x: Operand) -> Value:
    value = as_value(x)
    return value if value.dtype.is_float else cast(value, DType.FLOAT32)


def _shares(q: Numbers, method: str) -> Array:
    if method not in _METHODS:
        raise ArgumentError(f"unknown quantile method {method!r}", remedy=f"use one of {', '.join(_METHODS)}")
    shares = np.asarray(q, float)
    if shares.ndim > 1 or not shares.size or shares.min() < 0 or shares.max() > 1:
        raise ArgumentError(f"a quantile is asked for at numbers from 0 to 1, got {q!r}")
    return shares


def _lanes(value: Value, axes: tuple[int, ...]) -> tuple[Value, int]:
    """The elements of the axes on one last axis, and their number."""
    sizes = [value.type.shape[axis] for axis in axes]
    count = 1
    for size in sizes:
        if not isinstance(size, int):
            raise ShapeError(
                f"a quantile is taken over axes of known sizes, axis has {size}", remedy="give the input a fixed size"
            )
        count *= size
    if not count:
        raise ShapeError("there is no quantile of no elements")
    rest = [axis for axis in range(value.ndim) if axis not in axes]
    return reshape(transpose(value, [*rest, *axes]), (*(value.type.shape[axis] for axis in rest), count)), count


def _joined(parts: list[Value], shares: Array, axes: tuple[int, ...], keepdims: bool) -> Value:
    if keepdims:
        for place in axes:
            parts = [expand_dims(part, place) for part in parts]
    return parts[0] if shares.ndim == 0 else stack(parts, axis=0)


def _places(position: float, method: str) -> tuple[int, int, float]:
    """The places of two elements, and the weight of the second, for a position that may be between two elements."""
    low = round_down(position)
    share = position - low
    if share == 0 or method == "lower":
        return low, low, 0.0
    if method == "higher":
        return low + 1, low + 1, 0.0
    if method == "nearest":
        return round(position), round(position), 0.0
    return low, low + 1, 0.5 if method == "midpoint" else share


def _at(ordered: Value, position: float, method: str) -> Value:
    """The element at a position, which may be between two elements."""
    low, high, weight = _places(position, method)
    first = take(ordered, low, axis=-1)
    if low == high:
        return first
    return add(multiply(first, 1 - weight), multiply(take(ordered, high, axis=-1), weight))


def _among(ordered: Value, known: Value, count: int, share: float, method: str) -> Value:
    """The quantile of the first `known` of the elements: a table tells the places for each number of them."""
    rows = [_places(share * max(n - 1, 0), method) for n in range(count + 1)]
    lows, highs, weights = (np.asarray(column) for column in zip(*rows, strict=True))
    first, second = (_element(ordered, take(places.astype(np.int32), known)) for places in (lows, highs))
    weight = take(weights.astype(ordered.dtype.numpy), known)
    between = add(multiply(first, 1.0 - weight), multiply(second, weight))
    return where(equal(weight, 0.0), first, between)


def _element(ordered: Value, places: Value) -> Value:
    return squeeze(take_along_axis(ordered, expand_dims(places, -1), -1), -1)
