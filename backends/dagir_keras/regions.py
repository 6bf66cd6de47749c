"""Regions of images: all of them at once, with masks where one has fewer samples or a smaller cell than another."""

from __future__ import annotations

from typing import Any

from keras import backend
from keras import ops as K

from dagir import ops
from dagir.ir.dims import SymbolicDim
from dagir.ir.graph import Node
from dagir_keras.grids import between
from dagir_keras.rules import rules

_LOWEST = float("-inf")


def needs_layer(node: Node) -> bool:
    """Whether the rule can run only within a Keras layer: it asks for sizes that a KerasTensor may not know."""
    op, x = node.op, node.inputs[0]
    if not isinstance(op, (ops.RoiAlign, ops.RoiMaxPool)) or x is None:
        return False
    adapts = isinstance(op, ops.RoiAlign) and op.sampling_ratio == 0
    return adapts or any(isinstance(size, SymbolicDim) for size in x.type.shape[1:])


def _images(op: ops.RoiAlign | ops.RoiMaxPool, x: Any, numbers: Any) -> Any:
    """f[k, h, w, c]: the image of each region."""
    x = x if op.data_format == "channels_last" else K.moveaxis(x, 1, -1)
    return K.take(x, K.cast(numbers, "int32"), axis=0)


def _back(op: ops.RoiAlign | ops.RoiMaxPool, y: Any, dtype: str) -> Any:
    y = K.cast(y, dtype)
    return y if op.data_format == "channels_last" else K.moveaxis(y, -1, 1)


@rules.rule(ops.RoiAlign)
def roi_align(op: ops.RoiAlign, x: Any, rois: Any, numbers: Any) -> Any:
    dtype = backend.standardize_dtype(x.dtype)
    wide = dtype if dtype == "float64" else "float32"
    images = K.cast(_images(op, x, numbers), wide)
    ends = K.cast(rois, wide) * op.spatial_scale - (0.5 if op.half_pixel else 0.0)
    _, height, width, _ = K.shape(images)
    rows = _samples(op, 0, ends[:, 1], ends[:, 3], height)
    columns = _samples(op, 1, ends[:, 0], ends[:, 2], width)
    if op.mode == "avg":
        down, across = (_means(*each, size) for each, size in ((rows, height), (columns, width)))
        found = K.einsum("kph,khwc->kpwc", down, images)
        return _back(op, K.einsum("kqw,kpwc->kpqc", across, found), dtype)
    return _back(op, _largest(images, rows, columns), dtype)


def _samples(op: ops.RoiAlign, axis: int, start: Any, end: Any, size: Any) -> tuple[Any, Any, Any]:
    """f[k, cells, samples] twice, the places of samples and which of them are in the image; f[k], how many count."""
    cells, dtype = op.output_size[axis], start.dtype
    start, end = K.expand_dims(start, (1, 2)), K.expand_dims(end, (1, 2))
    length = end - start if op.half_pixel else K.maximum(end - start, 1.0)
    if op.sampling_ratio:
        most: Any = op.sampling_ratio
        count = K.ones_like(length) * op.sampling_ratio
    else:
        count = K.maximum(K.ceil(length / cells), 0.0)
        most = K.cast(K.maximum(K.max(count, initial=0.0), 1.0), "int32")
    index = K.reshape(K.cast(K.arange(most), dtype), (1, 1, -1))
    cell = K.reshape(K.cast(K.arange(cells), dtype), (1, -1, 1))
    steps = K.subtract(K.divide(index + 0.5, K.maximum(count, 1.0)), -cell)
    at = K.subtract(steps * (length / cells), -start)
    last = K.cast(size, dtype) - 1
    inside = K.logical_and(K.logical_and(at >= -1, at <= last + 1), K.less(index, count))
    return between(at, 0, last), K.cast(inside, dtype), K.maximum(count, 1.0)


def _means(at: Any, inside: Any, count: Any, size: Any) -> Any:
    """f[k, cells, size]: what each element weighs in the mean of a cell, 1 - distance where that is not below 0."""
    ids = K.cast(K.arange(size), at.dtype)
    heights = K.maximum(1 - K.absolute(K.subtract(K.expand_dims(at, -1), ids)), 0.0)
    return K.sum(heights * K.expand_dims(inside, -1), 2) / count


def _largest(images: Any, rows: tuple[Any, ...], columns: tuple[Any, ...]) -> Any:
    """The largest weighted element of each cell, or 0 where a region has no samples."""
    _, height, width, channels = K.shape(images)
    flat = K.reshape(images, (-1, height * width, channels))
    best: Any = None
    for down, high, used_rows in _corners(rows, height):
        for across, wide, used_columns in _corners(columns, width):
            # Keras 3.15 may add as if to channels, where one operand has a single axis longer than 1
            index, weight = _crossed(down * width, -across, K.subtract), _crossed(high, wide, K.multiply)
            used = _crossed(used_rows, used_columns, K.logical_and)
            count, cells = K.shape(index)[1:], K.shape(flat)[-1]
            taken = K.take_along_axis(flat, K.reshape(index, (-1, _product(count), 1)), axis=1)
            parts = K.reshape(taken, (-1, *count, cells)) * K.expand_dims(weight, -1)
            part = K.max(K.where(K.expand_dims(used, -1), parts, _LOWEST), (2, 4))
            best = part if best is None else K.maximum(best, part)
    return K.where(K.equal(best, _LOWEST), K.zeros_like(best), best)


def _corners(samples: tuple[Any, ...], size: Any) -> list[tuple[Any, Any, Any]]:
    """The element before and after each sample: its place, its weight, and whether the sample counts."""
    at, inside, count = samples
    low = K.floor(at)
    high = K.minimum(low + 1, K.cast(size, at.dtype) - 1)
    t = at - low
    index = K.reshape(K.cast(K.arange(K.shape(at)[2]), at.dtype), (1, 1, -1))
    used = K.logical_and(K.less(index, count), K.ones_like(at) > 0)
    return [(K.cast(low, "int32"), (1 - t) * inside, used), (K.cast(high, "int32"), t * inside, used)]


def _crossed(rows: Any, columns: Any, combine: Any) -> Any:
    """[k, cells, samples] twice -> [k, cells, samples, cells, samples]."""
    return combine(K.expand_dims(rows, (3, 4)), K.expand_dims(columns, (1, 2)))


def _product(sizes: Any) -> Any:
    total: Any = 1
    for size in sizes:
        total = total * size
    return total


@rules.rule(ops.RoiMaxPool)
def roi_max_pool(op: ops.RoiMaxPool, x: Any, rois: Any, numbers: Any) -> Any:
    """The largest of each cell's columns, then of its rows."""
    dtype = backend.standardize_dtype(x.dtype)
    y = K.cast(_images(op, x, numbers), dtype if dtype == "float64" else "float32")
    ends = K.cast(rois, y.dtype) * op.spatial_scale
    ends = K.sign(ends) * K.floor(K.absolute(ends) + 0.5)
    for axis in (1, 0):
        start, length = ends[:, 1 - axis], K.maximum(ends[:, 3 - axis] - ends[:, 1 - axis] + 1, 1.0)
        ids = K.reshape(K.cast(K.arange(K.shape(y)[1 + axis]), y.dtype), (1, -1))
        parts = []
        for cell in range(op.output_size[axis]):
            low = K.floor(cell * length / op.output_size[axis]) + start
            high = K.ceil((cell + 1) * length / op.output_size[axis]) + start
            within = K.logical_and(K.greater_equal(ids, K.expand_dims(low, 1)), K.less(ids, K.expand_dims(high, 1)))
            mask = K.expand_dims(within, (1, 3) if axis == 1 else (2, 3))
            parts.append(K.max(K.where(mask, y, _LOWEST), 1 + axis))
        y = K.stack(parts, 1 + axis)
    return _back(op, K.where(K.equal(y, _LOWEST), K.zeros_like(y), y), dtype)
