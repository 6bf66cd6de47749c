"""Ops that move elements and compute none."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from dagir import ops
from dagir.errors import ShapeError
from dagir.ir.types import Array, fixed_shape, normalize_axis
from dagir.runtime.index_guard import check_range
from dagir_numpy.rules import rules


@rules.rule(ops.Reshape)
def reshape(op: ops.Reshape, x: Array) -> Array:
    target: list[Any] = list(op.target)
    if -1 in target and 0 in target:  # NumPy cannot tell -1 from nothing; the other sizes can
        sizes = list(x.shape)
        for _ in range(target.count(0)):
            sizes.remove(0)
        target[target.index(-1)] = prod(sizes) // prod(size for size in target if size not in (0, -1))
    return x.reshape(target)


@rules.rule(ops.Transpose)
def transpose(op: ops.Transpose, x: Array) -> Array:
    return x.transpose(op.axes)


@rules.rule(ops.ExpandDims)
def expand_dims(op: ops.ExpandDims, x: Array) -> Array:
    return x[(slice(None),) * normalize_axis(op.axis, x.ndim + 1) + (None,)]


@rules.rule(ops.Squeeze)
def squeeze(op: ops.Squeeze, x: Array) -> Array:
    for axis in op.axes:
        if x.shape[axis] != 1:
            raise ShapeError(f"an axis of size 1 is dropped, and axis {axis} of {list(x.shape)} has {x.shape[axis]}")
    return np.squeeze(x, op.axes)


@rules.rule(ops.BroadcastTo)
def broadcast_to(op: ops.BroadcastTo, x: Array) -> Array:
    return np.broadcast_to(x, fixed_shape(op.target))


@rules.rule(ops.Concatenate)
def concatenate(op: ops.Concatenate, *xs: Array) -> Array:
    return np.concatenate(xs, op.axis)


@rules.rule(ops.Pad)
def pad(op: ops.Pad, x: Array) -> Array:
    grown = [(max(before, 0), max(after, 0)) for before, after in op.pads]
    if op.mode == "constant":
        y = np.pad(x, grown, "constant", constant_values=op.value)
    else:
        y = x
        for axis, (before, after) in enumerate(grown):
            if before or after:
                y = y.take(_padded_places(x.shape[axis], before, after, op.mode), axis)
    kept = [slice(max(-before, 0), min(after, 0) or None) for before, after in op.pads]
    return y[tuple(kept)]


@lru_cache(256)
def _padded_places(size: int, before: int, after: int, mode: str) -> Array:
    """Which element of an axis stands at each place of the padded one."""
    places = np.pad(np.arange(size), (before, after), mode)  # type: ignore[call-overload]
    places.flags.writeable = False
    return np.asarray(places)


@rules.rule(ops.Slice)
def slice_rule(op: ops.Slice, x: Array) -> Array:
    parts = [slice(None)] * x.ndim
    for axis, start, stop, step in zip(op.axes, op.starts, op.stops, op.steps, strict=True):
        parts[axis] = slice(start, stop, step)
    return x[tuple(parts)]


@rules.rule(ops.Tile)
def tile(op: ops.Tile, x: Array) -> Array:
    return np.tile(x, op.repeats)


@rules.rule(ops.Gather)
def gather(op: ops.Gather, x: Array, indices: Array) -> Array:
    check_range(indices, x.shape[op.axis], from_the_end=True)
    return np.take(x, indices, op.axis)
