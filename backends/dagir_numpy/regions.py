"""Regions of images, one after the other: each has its own size."""

from __future__ import annotations

from math import ceil

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir_numpy.rules import rules


@rules.rule(ops.RoiAlign)
def roi_align(op: ops.RoiAlign, x: Array, rois: Array, numbers: Array) -> Array:
    """A mean of interpolated samples is a product with a matrix for each axis: both weigh the samples by themselves."""
    x = x if op.data_format == "channels_last" else np.moveaxis(x, 1, -1)
    ends = np.asarray(rois, np.result_type(rois, np.float32)) * op.spatial_scale - (0.5 if op.half_pixel else 0.0)
    found = np.zeros((len(rois), *op.output_size, x.shape[-1]), x.dtype)
    for place, (region, number) in enumerate(zip(ends, numbers, strict=True)):
        image = x[number]
        rows, columns = (_samples(op, axis, region[1 - axis], region[3 - axis], image.shape[axis]) for axis in (0, 1))
        if op.mode == "avg":
            down, across = (_means(*each, image.shape[axis]) for axis, each in enumerate((rows, columns)))
            found[place] = np.einsum("ph,hwc,qw->pqc", down, image, across, optimize=True)
        elif rows[0].size and columns[0].size:
            found[place] = _largest(image, rows, columns)
    return found if op.data_format == "channels_last" else np.moveaxis(found, -1, 1)


def _samples(op: ops.RoiAlign, axis: int, start: float, end: float, size: int) -> tuple[Array, Array]:
    """int[cells, samples, 2], f[cells, samples, 2]: the elements around each sample, and what they weigh."""
    cells = op.output_size[axis]
    length = end - start if op.half_pixel else max(end - start, 1.0)
    count = op.sampling_ratio or max(ceil(length / cells), 0)
    steps = np.arange(cells)[:, None] + (np.arange(count) + 0.5) / max(count, 1)
    at = start + steps * (length / cells)
    inside = (at >= -1) & (at <= size)
    at = np.clip(at, 0, size - 1)
    low = np.floor(at).astype(np.int64)
    t = at - low
    places = np.stack([low, np.minimum(low + 1, size - 1)], -1)
    return places, np.stack([1 - t, t], -1) * inside[..., None]


def _means(places: Array, weights: Array, size: int) -> Array:
    """f[cells, size]: what each element weighs in the mean of a cell."""
    cells, count, _ = places.shape
    found = np.zeros((cells, size))
    rows = np.broadcast_to(np.arange(cells)[:, None, None], places.shape)
    np.add.at(found, (rows, places), weights)
    return found / max(count, 1)


def _largest(image: Array, rows: tuple[Array, Array], columns: tuple[Array, Array]) -> Array:
    """The largest weighted element of each cell, as onnxruntime and onnx have it."""
    (down, heights), (across, widths) = (
        tuple(each.reshape(len(each), -1) for each in pair) for pair in (rows, columns)
    )
    taken = image[down[:, None, :, None], across[None, :, None, :]]
    weights = heights[:, None, :, None] * widths[None, :, None, :]
    return np.asarray((taken * weights[..., None]).max((2, 3)))


@rules.rule(ops.RoiMaxPool)
def roi_max_pool(op: ops.RoiMaxPool, x: Array, rois: Array, numbers: Array) -> Array:
    x = x if op.data_format == "channels_last" else np.moveaxis(x, 1, -1)
    ends = np.asarray(rois, np.result_type(rois, np.float32)) * op.spatial_scale
    ends = (np.sign(ends) * np.floor(np.abs(ends) + 0.5)).astype(np.int64)
    found = np.zeros((len(rois), *op.output_size, x.shape[-1]), x.dtype)
    for place, (region, number) in enumerate(zip(ends, numbers, strict=True)):
        rows, columns = (_cells(op, axis, region[1 - axis], region[3 - axis], x.shape[1 + axis]) for axis in (0, 1))
        for i, (top, bottom) in enumerate(rows):
            for j, (left, right) in enumerate(columns):
                if top < bottom and left < right:
                    found[place, i, j] = x[number, top:bottom, left:right].max((0, 1))
    return found if op.data_format == "channels_last" else np.moveaxis(found, -1, 1)


def _cells(op: ops.RoiMaxPool, axis: int, start: int, end: int, size: int) -> list[tuple[int, int]]:
    """The start and the end of each cell on an axis, within the image."""
    cells = op.output_size[axis]
    length = max(int(end) - int(start) + 1, 1)
    bounds = [(start + i * length // cells, start - (-(i + 1) * length // cells)) for i in range(cells)]
    return [(min(max(int(a), 0), size), min(max(int(z), 0), size)) for a, z in bounds]
