"""Counts of values: bincount and histograms; and the order of a partition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim
from dagir.ir.graph import Constant, Operand, Value
from dagir.ir.operands import as_value
from dagir.ir.types import DType
from dagir.ops.arithmetic import add, divide, maximum, multiply, subtract
from dagir.ops.counts import countable
from dagir.ops.creation import ones_like
from dagir.ops.data_sizes import size_from
from dagir.ops.elementwise import cast
from dagir.ops.logic import equal, greater_equal, less, less_equal, logical_and, where
from dagir.ops.operands import require
from dagir.ops.reduce import max as largest
from dagir.ops.reduce import min as smallest
from dagir.ops.reduce import sum as total
from dagir.ops.scatter import into_segments
from dagir.ops.shape import concatenate, expand_dims
from dagir.ops.sizes import counted, measured
from dagir.ops.sorting import argsort, searchsorted

__all__ = ["argpartition", "bincount", "histogram"]


def bincount(x: Operand, weights: Operand | None = None, minlength: int = 0, sparse: bool = False) -> Value:
    """How often each of 0, 1, 2, ... occurs in x, int32; or the sums of the weights of the places where it does.

    x: int[n], or int[m, n] of which each row is counted, none of them below 0. weights: shaped as x. The result has
    max(x) + 1 elements on its last axis, a size that is known when the model runs, and `minlength` at least. sparse:
    refused. Raises ShapeError, DTypeError, ArgumentError.

    >>> show(ops.bincount([1, 2, 2, 5]))
    [0, 1, 2, 0, 0, 1]
    """
    if sparse:
        raise ArgumentError("bincount gives no sparse tensors", remedy="leave sparse False")
    value = countable(x)
    given = None if weights is None else as_value(weights)
    if isinstance(value.source, Constant):
        return counts(value, max(int(value.source.array.max(initial=-1)) + 1, int(minlength)), given)
    found = largest(value, initial=-1)
    return counts(value, size_from(maximum(add(found, 1), int(minlength))), given)


def counts(x: Value, length: Dim, weights: Value | None = None) -> Value:
    """How often each of 0, ..., length - 1 occurs in x; other numbers are not counted.

    x: int[n] or int[m, n]. weights: of the places, shaped as x.
    """
    if x.ndim not in (1, 2):
        raise ShapeError(f"bincount takes a vector, or a matrix of rows, got {x.type}", marks={0: list(range(x.ndim))})
    if weights is not None and weights.ndim != x.ndim:
        raise ShapeError(f"the weights have the shape of x, {list(x.type.shape)}, got {list(weights.type.shape)}")
    each = ones_like(x, DType.INT32) if weights is None else weights
    if x.ndim == 2:
        hits = equal(expand_dims(x, -1), cast(counted(length), x.dtype))
        nothing = False if each.dtype is DType.BOOL else 0
        return total(where(hits, expand_dims(each, -1), nothing), 1)
    inside = logical_and(greater_equal(x, 0), less(x, cast(measured(length), x.dtype)))
    return into_segments(where(inside, each, 0), where(inside, x, 0), length, "add", 0)


def histogram(x: Operand, bins: int = 10, range: Sequence[float] | None = None) -> tuple[Value, Value]:
    """How many elements are in each of `bins` equal parts of a range, in the dtype of x; and the bounds of the parts.

    x: t[n] -> t[bins], t[bins + 1]; of numbers with less than 32 bits both have 32, for counts and bounds do not fit
    these. range: the smallest and the largest bound, else those of x; what is outside is not counted. A part has its
    lower bound, the last one its upper too.

    >>> show(*ops.histogram([1.0, 2.0, 2.5, 4.0], bins=3))
    [1.0, 2.0, 1.0]
    [1.0, 2.0, 3.0, 4.0]
    """
    value = as_value(x)
    require("number", value.type)
    if value.dtype.numpy.itemsize < 4:
        value = cast(value, DType.FLOAT32 if value.dtype.is_float else DType.INT32)
    if value.ndim != 1:
        raise ShapeError(f"histogram takes a vector, got {value.type}", remedy="use ops.ravel(x)")
    if not isinstance(bins, int) or bins < 1:
        raise ArgumentError(f"a histogram has 1 part or more, got bins={bins!r}")
    edges = _edges(value, bins, range)
    inside = logical_and(greater_equal(value, edges[0]), less_equal(value, edges[-1]))
    places = searchsorted(edges[1:-1], value, "right") if bins > 1 else cast(multiply(value, 0), DType.INT32)
    found = into_segments(cast(inside, value.dtype), places, bins, "add", 0)
    return found, edges


def argpartition(x: Operand, kth: int, axis: int | None = -1) -> Value:
    """Places that put the kth smallest element of an axis at kth, smaller ones before and larger ones behind, int32.

    The two sides are sorted too, equal elements in their order; Keras leaves their order open. x: numbers; flattened
    where axis is None. kth: counted from the end where it is negative.

    >>> show(ops.argpartition([7, 2, 5], 1))
    [1, 2, 0]
    """
    if not isinstance(kth, int):
        raise ArgumentError(f"argpartition takes a whole number for kth, got {kth!r}")
    return argsort(x, axis)


def _edges(x: Value, bins: int, range: Sequence[float] | None) -> Value:
    """The bounds of the parts, t[bins + 1]: in equal steps, which integers cut off."""
    if range is not None:
        if len(range) != 2 or range[1] < range[0]:
            raise ArgumentError(f"the range of a histogram is its smallest and its largest bound, got {range!r}")
        return Constant(np.linspace(range[0], range[1], bins + 1).astype(x.dtype.numpy)).value
    wide = x if x.dtype.is_float else cast(x, DType.FLOAT64)
    low, high = smallest(wide), largest(wide)
    steps = as_value(np.arange(bins).astype(wide.dtype.numpy))
    edges = concatenate([add(multiply(steps, divide(subtract(high, low), float(bins))), low), expand_dims(high, 0)])
    return cast(edges, x.dtype)
