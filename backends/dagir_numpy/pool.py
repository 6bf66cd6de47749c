"""Pooling, one axis after the other: a window's largest (or sum) is that of the rows' largest (or sums)."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir.ops.pool import adaptive_windows
from dagir_numpy.rules import rules


@rules.rule(ops.MaxPool)
def max_pool(op: ops.MaxPool, x: Array) -> Array:
    return _pool(op, x, np.maximum, -np.inf)


@rules.rule(ops.AveragePool)
def average_pool(op: ops.AveragePool, x: Array) -> Array:
    inside = np.ones([x.shape[axis] if axis in op.spatial_axes else 1 for axis in range(x.ndim)], x.dtype)
    return _pool(op, x, np.add, 0) / _pool(op, inside, np.add, 0)


def _pool(
    op: ops.MaxPool | ops.AveragePool, x: Array, combine: Callable[[Array, Array], Array], outside: float
) -> Array:
    pads: Any = op.pads([x.shape[axis] for axis in op.spatial_axes])  # ints, as the sizes are
    for axis, window, stride, pair in zip(op.spatial_axes, op.pool_size, op.strides, pads, strict=True):
        padded = np.pad(x, [pair if each == axis else (0, 0) for each in range(x.ndim)], constant_values=outside)
        span = padded.shape[axis] - window + 1  # the places where a window can start
        before = (slice(None),) * axis
        x = reduce(combine, [padded[(*before, slice(tap, tap + span, stride))] for tap in range(window)])
    return x


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
