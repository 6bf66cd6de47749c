"""Convolutions."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dagir import ops
from dagir.errors import ShapeError
from dagir.ir.types import Array
from dagir_numpy.rules import rules


@rules.rule(ops.Conv)
def conv(op: ops.Conv, x: Array, w: Array, b: Array | None = None) -> Array:
    x = _channels_last(op, x)
    y = _correlate(op, _padded(op, x, w.shape[: op.rank]), w)
    return _back(op, y if b is None else y + b)


@rules.rule(ops.ConvTranspose)
def conv_transpose(op: ops.ConvTranspose, x: Array, w: Array, b: Array | None = None) -> Array:
    x = _channels_last(op, x)
    kernel = w.shape[: op.rank]
    y = _cropped(_scattered(op, x, w), op.crops(kernel))
    return _back(op, y if b is None else y + b)


def _channels_last(op: ops.Conv | ops.ConvTranspose, x: Array) -> Array:
    return x if op.data_format == "channels_last" else np.moveaxis(x, 1, -1)


def _back(op: ops.Conv | ops.ConvTranspose, y: Array) -> Array:
    return y if op.data_format == "channels_last" else np.moveaxis(y, -1, 1)


def _padded(op: ops.Conv, x: Array, kernel: tuple[int, ...]) -> Array:
    pads = op.pads(x.shape[1:-1], kernel)
    if any(low or high for low, high in pads):
        x = np.pad(x, np.array([(0, 0), *pads, (0, 0)]))
    for size, extent in zip(x.shape[1:-1], op.extents(kernel), strict=True):
        if size < extent:
            raise ShapeError(
                f"the kernel reaches over {extent} elements, the axis has {size}",
                remedy="use padding='same', a smaller kernel, or a larger input",
            )
    return x


def _correlate(op: ops.Conv, x: Array, w: Array) -> Array:
    """One matrix product per group: rows are the places of the kernel, columns the elements that it covers."""
    rank, groups = op.rank, op.groups
    *kernel, per_group, out = w.shape
    if per_group == 1 and out == groups > 1:
        return _depthwise(op, x, w)
    spatial = tuple(range(1, rank + 1))
    windows = sliding_window_view(x, op.extents(kernel), axis=spatial)
    strided = [slice(None, None, stride) for stride in op.strides]
    dilated = [slice(None, None, dilation) for dilation in op.dilations]
    windows = windows[(slice(None), *strided, slice(None), *dilated)]
    places, reach = windows.shape[: rank + 1], per_group * prod(kernel)
    if groups == 1:  # channels stay innermost, so that they are gathered in runs
        rows = np.moveaxis(windows, rank + 1, -1).reshape(prod(places), reach)
        return np.asarray(rows @ w.reshape(reach, out)).reshape(*places, out)
    windows = windows.reshape(*places, groups, per_group, *kernel)
    columns = np.moveaxis(windows, rank + 1, 0).reshape(groups, prod(places), reach)
    weights = np.moveaxis(w.reshape(*kernel, per_group, groups, out // groups), (rank + 1, rank), (0, 1))
    y = columns @ weights.reshape(groups, reach, out // groups)
    return np.moveaxis(y, 0, 1).reshape(*places, out)


def _depthwise(op: ops.Conv, x: Array, w: Array) -> Array:
    """Each channel by itself: the sum over the places of the kernel, which gathers nothing."""
    kernel = w.shape[: op.rank]
    spaces = zip(x.shape[1:-1], op.extents(kernel), op.strides, strict=True)
    sizes = [(size - extent) // stride + 1 for size, extent, stride in spaces]
    y = np.zeros((len(x), *sizes, x.shape[-1]), dtype=np.result_type(x, w))
    product_of_tap = np.empty_like(y)
    for tap in product(*map(range, kernel)):
        starts = [t * d for t, d in zip(tap, op.dilations, strict=True)]
        part = [slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, sizes, op.strides, strict=True)]
        np.multiply(x[(slice(None), *part)], w[tap][0], out=product_of_tap)
        y += product_of_tap
    return y


def _scattered(op: ops.ConvTranspose, x: Array, w: Array) -> Array:
    """The sum of all kernels, each at stride times its element's place, scaled by that element."""
    kernel = w.shape[: op.rank]
    sizes = x.shape[1:-1]
    covered = [(n - 1) * s + k for n, s, k in zip(sizes, op.strides, op.extents(kernel), strict=True)]
    y = np.zeros((x.shape[0], *covered, w.shape[op.rank] * op.groups), dtype=np.result_type(x, w))
    for tap in product(*map(range, kernel)):
        starts = [t * d for t, d in zip(tap, op.dilations, strict=True)]
        part = [slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, sizes, op.strides, strict=True)]
        y[(slice(None), *part)] += x @ w[tap].T if op.groups == 1 else _grouped(x, w[tap], op.groups)
    return y


def _grouped(x: Array, w: Array, groups: int) -> Array:
    """x: f[..., c], w: f[o/groups, c] -> f[..., o]: each group of channels gives its own filters."""
    parts = x.reshape(*x.shape[:-1], groups, 1, -1)
    kernels = np.moveaxis(w.reshape(w.shape[0], groups, -1), 1, 0).swapaxes(1, 2)
    return np.asarray(parts @ kernels).reshape(*x.shape[:-1], -1)


def _cropped(y: Array, crops: tuple[tuple[int, int], ...]) -> Array:
    kept = [slice(low, size - max(high, 0)) for (low, high), size in zip(crops, y.shape[1:-1], strict=True)]
    y = y[(slice(None), *kept)]
    grown = [(0, max(-high, 0)) for _, high in crops]
    return np.pad(y, [(0, 0), *grown, (0, 0)])
