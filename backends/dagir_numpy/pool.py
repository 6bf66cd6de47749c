"""Pooling, one axis after the other: a window's largest (or sum) is that of the rows' largest (or sums)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.types import Array, fixed
from dagir.ops.pool import Pool, adaptive_windows
from dagir_numpy.rules import rules


@rules.rule(ops.MaxPool)
def max_pool(op: ops.MaxPool, x: Array) -> Array:
    return _pool(op, x, np.maximum, -np.inf if x.dtype.kind not in "iu" else np.iinfo(x.dtype).min)


@rules.rule(ops.AveragePool)
def average_pool(op: ops.AveragePool, x: Array) -> Array:
    inside = np.ones([x.shape[axis] if axis in op.spatial_axes else 1 for axis in range(x.ndim)], x.dtype)
    if not op.count_include_pad:
        return _pool(op, x, np.add, 0) / _pool(op, inside, np.add, 0)
    sizes = [x.shape[axis] for axis in op.spatial_axes]
    around = [(0, 0)] * x.ndim
    for axis, (before, after) in zip(op.spatial_axes, op.pads(sizes), strict=True):
        around[axis] = (fixed(before), fixed(after))
    counted = np.pad(inside, around, constant_values=1)
    return _pool(op, x, np.add, 0) / _taken(op, counted, np.add, [(0, after) for _, after in _beyond(op, sizes)], 0)


def _beyond(op: Pool, sizes: Sequence[int]) -> list[tuple[int, int]]:
    """How far the windows reach beyond the padding."""
    pairs = zip(op.reach(sizes), op.pads(sizes), strict=True)
    return [(fixed(a - c), fixed(b - d)) for (a, b), (c, d) in pairs]


@rules.rule(ops.LpPool)
def lp_pool(op: ops.LpPool, x: Array) -> Array:
    return _pool(op, np.abs(x) ** op.p, np.add, 0) ** (1 / op.p)


@rules.rule(ops.MaxPoolWithIndices)
def max_pool_with_indices(op: ops.MaxPoolWithIndices, x: Array) -> tuple[Array, Array]:
    """Along each axis in turn, the inner ones first: the larger of two goes on with its place."""
    pool, sizes = op.as_max_pool(), x.shape[2:]
    first = np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], *(1,) * len(sizes)) * np.prod(sizes, dtype=int)
    places = np.broadcast_to(first + _counted(sizes, op.column_major), x.shape).astype(np.int64)
    least = -np.inf if x.dtype.kind not in "iu" else np.iinfo(x.dtype).min
    reach, counts = pool.reach(sizes), pool.counts(sizes)
    every = list(zip(pool.spatial_axes, pool.pool_size, pool.steps, pool.strides, counts, reach, strict=True))
    for axis, window, step, stride, count, pair in every[::-1]:
        y, where = _fitted(x, axis, pair, least), _fitted(places, axis, pair, -1)
        parts = [_tap(axis, tap * step, int(count), stride) for tap in range(window)]
        x, places = y[parts[0]], where[parts[0]]
        for part in parts[1:]:
            larger = (y[part] > x) | ((places < 0) & (where[part] >= 0))
            x, places = np.where(larger, y[part], x), np.where(larger, where[part], places)
    return x, places


def _counted(sizes: Sequence[int], column_major: bool) -> Array:
    """The elements of one channel, numbered from 0 on."""
    rows = np.arange(np.prod(sizes, dtype=int))
    return rows.reshape(sizes[::-1]).T if column_major else rows.reshape(sizes)


def _pool(op: Pool, x: Array, combine: Callable[[Array, Array], Array], outside: float) -> Array:
    return _taken(op, x, combine, op.reach([x.shape[axis] for axis in op.spatial_axes]), outside)


def _taken(
    op: Pool, x: Array, combine: Callable[[Array, Array], Array], reach: Sequence[tuple[Dim, Dim]], outside: float
) -> Array:
    """The windows of x, after it is padded, or cut off, as `reach` says."""
    every = zip(op.spatial_axes, op.pool_size, op.steps, op.extents, op.strides, reach, strict=True)
    for axis, window, step, extent, stride, pair in every:
        padded = _fitted(x, axis, pair, outside)
        count = (padded.shape[axis] - extent) // stride + 1
        x = reduce(combine, [padded[_tap(axis, tap * step, count, stride)] for tap in range(window)])
    return x


def _fitted(x: Array, axis: int, pair: tuple[Dim, Dim], outside: float) -> Array:
    before, after = map(fixed, pair)
    widths = [(before, max(after, 0)) if each == axis else (0, 0) for each in range(x.ndim)]
    padded = np.pad(x, widths, constant_values=outside) if max(before, after) > 0 else x
    return padded[(slice(None),) * axis + (slice(0, padded.shape[axis] + min(after, 0)),)]


def _tap(axis: int, start: int, count: int, stride: int) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, slice(start, start + (count - 1) * stride + 1 if count > 0 else start, stride))


@rules.rule(ops.AdaptiveMaxPool)
def adaptive_max_pool(op: ops.AdaptiveMaxPool, x: Array) -> Array:
    return _shared_out(op, x, lambda part, axis: part.max(axis, keepdims=True))


@rules.rule(ops.AdaptiveAveragePool)
def adaptive_average_pool(op: ops.AdaptiveAveragePool, x: Array) -> Array:
    return _shared_out(op, x, lambda part, axis: part.mean(axis, keepdims=True))


def _shared_out(
    op: ops.AdaptiveMaxPool | ops.AdaptiveAveragePool, x: Array, combine: Callable[[Array, int], Array]
) -> Array:
    for axis, number in zip(op.spatial_axes, op.output_size, strict=True):
        lead = (slice(None),) * axis
        windows = adaptive_windows(x.shape[axis], number)
        x = np.concatenate([combine(x[(*lead, slice(start, end))], axis) for start, end in windows], axis)
    return x
