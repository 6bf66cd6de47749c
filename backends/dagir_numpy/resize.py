"""Resizing."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.errors import ShapeError
from dagir.ir.types import Array, fixed
from dagir.ops.interpolation import matrix, nearest
from dagir_numpy.rules import rules


@rules.rule(ops.UpSample)
def upsample(op: ops.UpSample, x: Array) -> Array:
    for axis, factor in zip(op.spatial_axes, op.factors, strict=True):
        x = np.repeat(x, factor, axis) if op.interpolation == "nearest" else _linear(x, axis, factor)
    return x


def _linear(x: Array, axis: int, factor: int) -> Array:
    """Between the two nearest centres of x; element i of the result has its centre at (i + 1/2) / factor."""
    size = x.shape[axis]
    place = (np.arange(size * factor) + 0.5) / factor - 0.5
    lower = np.floor(place).astype(np.int64)
    weight = (place - lower).astype(x.dtype).reshape([-1 if each == axis else 1 for each in range(x.ndim)])
    left = np.take(x, np.maximum(lower, 0), axis)
    right = np.take(x, np.minimum(lower + 1, size - 1), axis)
    return left * (1 - weight) + right * weight


@rules.rule(ops.Resize)
def resize(op: ops.Resize, x: Array) -> Array:
    for axis, target in zip(op.spatial_axes, op.size, strict=True):
        size, wanted = x.shape[axis], fixed(target)
        if op.interpolation == "nearest":
            x = np.take(x, nearest(size, wanted), axis)
        elif size != wanted:
            weights = matrix(size, wanted, op.interpolation, op.antialias).astype(x.dtype)
            x = np.moveaxis(np.moveaxis(x, axis, -1) @ weights.T, -1, axis)
    return x


@rules.rule(ops.Window)
def window(op: ops.Window, x: Array) -> Array:
    parts = [slice(None)] * x.ndim
    for axis, start, size in zip(op.axes, op.starts, op.sizes, strict=True):
        first, count = fixed(start), fixed(size)
        if first < 0 or first + count > x.shape[axis]:
            raise ShapeError(
                f"a window from {first} to {first + count} reaches over axis {axis} of size {x.shape[axis]}"
            )
        parts[axis] = slice(first, first + count)
    return x[tuple(parts)]
