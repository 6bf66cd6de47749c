"""Convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from dagir import ops
from dagir.errors import ShapeError
from dagir.ir.types import Array, fixed
from dagir_numpy.correlation import Finish, biased, correlate
from dagir_numpy.rules import rules


@rules.rule(ops.Conv)
def conv(op: ops.Conv, x: Array, w: Array, b: Array | None = None) -> Array:
    return convolve(op, x, w, b)


def convolve(op: ops.Conv, x: Array, w: Array, b: Array | None, finish: Finish | None = None) -> Array:
    """finish: what is done to each block of rows, one for each place and one element a filter; see `correlate`."""
    y = correlate(op, _padded(op, _channels_last(op, x), w.shape[: op.rank]), w, biased(b, finish))
    return _back(op, y)


@rules.rule(ops.ConvTranspose)
def conv_transpose(op: ops.ConvTranspose, x: Array, w: Array, b: Array | None = None) -> Array:
    x = _channels_last(op, x)
    kernel = w.shape[: op.rank]
    y = _cropped(_scattered(op, x, w), op.crops(kernel))
    if b is not None:
        y += b
    return _back(op, y)


def _channels_last(op: ops.Conv | ops.ConvTranspose, x: Array) -> Array:
    return x if op.data_format == "channels_last" else x.transpose(0, *range(2, x.ndim), 1)


def _back(op: ops.Conv | ops.ConvTranspose, y: Array) -> Array:
    return y if op.data_format == "channels_last" else y.transpose(0, y.ndim - 1, *range(1, y.ndim - 1))


def _padded(op: ops.Conv, x: Array, kernel: tuple[int, ...]) -> Array:
    pads = [(fixed(low), fixed(high)) for low, high in op.pads(x.shape[1:-1], kernel)]
    if any(map(any, pads)):
        x = _bordered(x, pads)
    for size, extent in zip(x.shape[1:-1], op.extents(kernel), strict=True):
        if size < extent:
            raise ShapeError(
                f"the kernel reaches over {extent} elements, the axis has {size}",
                remedy="use padding='same', a smaller kernel, or a larger input",
            )
    return x


def _bordered(x: Array, pads: Sequence[tuple[int, int]]) -> Array:
    """Zeros around the spatial axes."""
    widths = ((0, 0), *pads, (0, 0))
    padded = np.empty([low + size + high for size, (low, high) in zip(x.shape, widths, strict=True)], x.dtype)
    lead: tuple[slice, ...] = ()
    for size, (low, high) in zip(x.shape, widths, strict=True):
        if low:
            padded[(*lead, slice(0, low))] = 0
        if high:
            padded[(*lead, slice(low + size, None))] = 0
        lead = (*lead, slice(low, low + size))
    padded[lead] = x
    return padded


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
