"""Sampling at places that the data give."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir.ops.grids import CUBIC_COEFFICIENT
from dagir_numpy.rules import rules


@rules.rule(ops.GridSample)
def grid_sample(op: ops.GridSample, x: Array, grid: Array) -> Array:
    x = x if op.data_format == "channels_last" else np.moveaxis(x, 1, -1)
    batch, *sizes, channels = x.shape
    flat = np.asarray(grid.reshape(batch, prod(grid.shape[1:-1]), len(sizes)), np.result_type(grid, np.float32))
    places = []
    for axis, size in enumerate(sizes):
        at = flat[..., len(sizes) - 1 - axis]
        places.append((at + 1) / 2 * (size - 1) if op.align_corners else ((at + 1) * size - 1) / 2)
    found = sampled(op, x, places).reshape(batch, *grid.shape[1:-1], channels).astype(x.dtype)
    return found if op.data_format == "channels_last" else np.moveaxis(found, -1, 1)


def sampled(op: ops.GridSample, x: Array, places: list[Array]) -> Array:
    """f[n, p, c]: x, with its channels last, at places f[n, p] on each of its axes."""
    batch, *sizes, channels = x.shape
    flat = x.reshape(batch, prod(sizes), channels)
    rows = np.arange(batch)[:, None]
    total = np.zeros((*places[0].shape, channels), np.result_type(x, places[0]))
    for taps in product(*(_taps(op, at, size) for at, size in zip(places, sizes, strict=True))):
        index: Array = np.zeros(places[0].shape, np.int64)
        weight: Array = np.ones((), total.dtype)
        for (number, share), size in zip(taps, sizes, strict=True):
            index, weight = index * size + number, weight * share
        total += flat[rows, index] * weight[..., None]
    return total


def _taps(op: ops.GridSample, at: Array, size: int) -> list[tuple[Array, Array]]:
    """The elements of an axis around each place, and what each of them weighs.

    Places are moved inside before their elements are taken, but for cubic, as in PyTorch and onnxruntime.
    """
    if op.mode == "nearest":
        at = np.rint(at)
    if op.mode != "cubic":
        at = _inside(op, at, size)
    if op.padding_mode != "reflection":
        at = np.clip(at, -4.0, size + 3.0)  # beyond, all elements are outside
    first = np.floor(at)
    t = at - first
    if op.mode == "nearest":
        shares = {0: np.ones_like(t)}
    elif op.mode == "linear":
        shares = {0: 1 - t, 1: t}
    else:
        shares = {tap: _cubic(np.abs(t - tap)) for tap in (-1, 0, 1, 2)}
    found = []
    for tap, share in shares.items():
        number = first + tap
        inside = np.clip(np.nan_to_num(np.trunc(_inside(op, number, size))), 0, size - 1)
        beyond = (number < 0) | (number > size - 1)
        counted = np.where(beyond, 0, share) if op.padding_mode == "zeros" else share
        found.append((inside.astype(np.int64), counted))
    return found


def _inside(op: ops.GridSample, at: Array, size: int) -> Array:
    """Places that are outside, moved to the border, or mirrored at it as often as it takes."""
    if op.padding_mode == "border":
        return np.clip(at, 0, size - 1)
    if op.padding_mode == "zeros":
        return at
    low, high = (0.0, size - 1.0) if op.align_corners else (-0.5, size - 0.5)
    if low == high:
        return np.zeros_like(at)
    around = np.mod(at - low, 2 * (high - low))
    mirrored = low + np.minimum(around, 2 * (high - low) - around)
    return np.where((at < low) | (at > high), mirrored, at)


def _cubic(t: Array) -> Array:
    """Keys's kernel."""
    a = CUBIC_COEFFICIENT
    near, far = ((a + 2) * t - (a + 3)) * t * t + 1, ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return np.where(t <= 1, near, far)


@rules.rule(ops.DeformConv)
def deform_conv(
    op: ops.DeformConv, x: Array, w: Array, offset: Array, b: Array | None = None, mask: Array | None = None
) -> Array:
    """The points of the kernel, sampled for each group of offsets; then one matrix product for each group."""
    x = x if op.data_format == "channels_last" else np.moveaxis(x, 1, -1)
    rows, columns, inner, out = w.shape
    batch, _, high, wide = offset.shape
    apart, points, spots = op.offset_groups, rows * columns, high * wide
    moves = offset.reshape(batch * apart, rows, columns, 2, high, wide)
    places = []
    for axis, (taps, count) in enumerate(((rows, high), (columns, wide))):
        starts = np.arange(count) * op.strides[axis] - op.padding[axis][0]
        shape = (-1, 1, 1, 1) if axis == 0 else (-1, 1, 1)
        steps = (np.arange(taps) * op.dilations[axis]).reshape(shape)
        spread = steps + (starts[:, None] if axis == 0 else starts)
        places.append((moves[:, :, :, axis] + spread).reshape(batch * apart, points * spots))
    grouped = np.moveaxis(x.reshape(*x.shape[:3], apart, -1), 3, 1).reshape(batch * apart, *x.shape[1:3], -1)
    values = sampled(ops.GridSample(), grouped, places).reshape(batch, apart, points, spots, -1)
    if mask is not None:
        values = values * mask.reshape(batch, apart, points, spots, 1)
    whole = values.transpose(0, 3, 2, 1, 4).reshape(batch, spots, points, op.groups, inner)
    kernel = w.reshape(points, inner, op.groups, out // op.groups)
    found = np.einsum("nskgi,kigo->nsgo", whole, kernel, optimize=True).reshape(batch, high, wide, out)
    found = (found if b is None else found + b).astype(x.dtype)
    return found if op.data_format == "channels_last" else np.moveaxis(found, -1, 1)
