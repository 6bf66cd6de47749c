"""Parts of images in boxes, and the places of the largest elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.graph import Value
from dagir.ir.types import DType
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.dtypes import dtype_of
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import Tensor, dims, ints, like, product, sized, tensor, value
from dagir_keras.reading.tensorflow.windows import Window


@raw("CropAndResize")
def crop_and_resize(
    image: Tensor,
    boxes: Tensor,
    box_ind: Tensor,
    crop_size: Tensor,
    method: str = "bilinear",
    extrapolation_value: float = 0.0,
) -> Value:
    """x: [n, h, w, c], boxes [m, 4] of parts of height and width -> f[m, crop_h, crop_w, c], of one size."""
    images, corners, owners = ops.cast(value(image), "float32"), value(boxes), ops.cast(value(box_ind), "int32")
    count, height, width, channels = images.type.shape
    tall, wide = dims(crop_size, "crop_size")
    rows = ops.reshape(images, (count * height * width, channels))
    y = _places(corners[:, 0], corners[:, 2], _number(height), tall)
    x = _places(corners[:, 1], corners[:, 3], _number(width), wide)
    base = ops.reshape(owners, (-1, 1, 1)) * _whole(height * width)

    def pixels(row: Value, column: Value) -> Value:
        across = ops.expand_dims(_within(row, height) * _whole(width), 2) + ops.expand_dims(_within(column, width), 1)
        return ops.take(rows, base + across, 0)

    if method == "nearest":
        found = pixels(ops.floor(y + 0.5), ops.floor(x + 0.5))
    elif method == "bilinear":
        top, left = ops.floor(y), ops.floor(x)
        along, down = _weights(x - left, 1), _weights(y - top, 2)
        first, second = ((pixels(row, left), pixels(row, ops.ceil(x))) for row in (top, ops.ceil(y)))
        upper, lower = (near + (far - near) * along for near, far in (first, second))
        found = upper + (lower - upper) * down
    else:
        raise Refused(f"it resizes by the method {method[:40]!r}, which TensorFlow has not")
    inside = ops.logical_and(ops.expand_dims(_inside(y, height), 2), ops.expand_dims(_inside(x, width), 1))
    return ops.where(ops.expand_dims(inside, -1), found, like(float(extrapolation_value), found))


def _number(size: Dim) -> Value:
    return ops.cast(_whole(size), "float32")


def _whole(size: Dim) -> Value:
    return value(sized(np.asarray(size, object), DType.INT32))


def _places(low: Value, high: Value, size: Value, count: Dim) -> Value:
    """f[m, count]: where the elements of the crop are in the image; the middle of the box, for one of them."""
    last = size - 1.0
    if isinstance(count, SymbolicDim):
        number_of = _number(count)
        step = ops.expand_dims((high - low) * last / ops.maximum(number_of - 1.0, 1.0), 1)
        start = ops.where(number_of > 1.0, low * last, 0.5 * (low + high) * last)
        return ops.expand_dims(start, 1) + step * ops.cast(ops.arange(count), "float32")
    if count == 1:
        return ops.expand_dims(0.5 * (low + high) * last, 1)
    step = ops.expand_dims((high - low) * last / float(count - 1), 1)
    return ops.expand_dims(low * last, 1) + step * np.arange(count, dtype="float32")


def _inside(place: Value, size: Dim) -> Value:
    return ops.logical_and(ops.greater_equal(place, 0.0), ops.less_equal(place, _number(size) - 1.0))


def _within(place: Value, size: Dim) -> Value:
    """Indices of pixels; those outside are not used."""
    return ops.cast(ops.maximum(ops.minimum(place, _number(size) - 1.0), 0.0), "int32")


def _weights(x: Value, axis: int) -> Value:
    return ops.expand_dims(ops.expand_dims(x, axis), -1)


@function("image.crop_and_resize", "compat.v1.image.crop_and_resize")
def _crop_and_resize(
    image: Any = None,
    boxes: Any = None,
    box_indices: Any = None,
    crop_size: Any = None,
    method: Any = "bilinear",
    extrapolation_value: Any = 0.0,
    box_ind: Any = None,
) -> Value:
    owners = box_indices if box_indices is not None else box_ind
    operands = tensor(image), tensor(boxes), tensor(owners), tensor(crop_size)
    return crop_and_resize(*operands, str(method), float(extrapolation_value))


@raw("MaxPoolWithArgmax")
def max_pool_with_places(
    input: Tensor,
    ksize: Any,
    strides: Any,
    padding: Any,
    include_batch_in_index: bool = False,
    Targmax: Any = DType.INT64,  # noqa: N803  # the name of the attribute
) -> tuple[Value, Value]:
    """The largest element of each window, and the place of the first one of that size in the flat image."""
    x, window = value(input), Window.of(2, None)
    batch, height, width, channels = x.type.shape
    size, steps = window.spatial(ksize, "ksize"), window.spatial(strides, "strides")
    if not isinstance(height, int) or not isinstance(width, int):
        raise Refused("it gives the places of elements in images of unknown size")
    before, after, counts = zip(
        *(_border(*each, str(padding)) for each in zip((height, width), size, steps, strict=True)), strict=True
    )
    framed = ops.pad(x, [(0, 0), (before[0], after[0]), (before[1], after[1]), (0, 0)], "constant", -np.inf)
    parts = [
        framed[:, i : i + (counts[0] - 1) * steps[0] + 1 : steps[0], j : j + (counts[1] - 1) * steps[1] + 1 : steps[1]]
        for i in range(size[0])
        for j in range(size[1])
    ]
    stacked = ops.stack(parts)
    first = ops.cast(ops.argmax(stacked, 0), "int64")
    row = np.arange(counts[0]).reshape(-1, 1, 1) * steps[0] - before[0]
    column = np.arange(counts[1]).reshape(-1, 1) * steps[1] - before[1]
    place = (first // size[1] + row) * width + (first - first // size[1] * size[1]) + column
    depth = value(sized(np.asarray(channels, object), DType.INT64))
    place = place * depth + ops.arange(0, channels, 1, "int64")
    if include_batch_in_index:
        owners = ops.reshape(ops.arange(0, batch, 1, "int64"), (batch, 1, 1, 1))
        place = place + owners * (depth * (height * width))
    return ops.max(stacked, 0), ops.cast(place, dtype_of(Targmax))


def _border(size: int, window: int, step: int, padding: str) -> tuple[int, int, int]:
    """What is added before and behind, and the number of windows."""
    if padding == "VALID":
        return 0, 0, (size - window) // step + 1
    count = -(-size // step)
    more = max((count - 1) * step + window - size, 0)
    return more // 2, more - more // 2, count


@raw("DenseBincount")
def dense_bincount(input: Tensor, size: Tensor, weights: Tensor, binary_output: bool = False) -> Value:
    """How often each number below `size` is there, or the sum of its weights."""
    given, bins = value(input), dims(size, "size")[0]
    factors = value(weights)
    hot = ops.one_hot(given, bins, dtype=factors.dtype)
    if binary_output:
        return ops.max(hot, -2)
    if 0 not in factors.type.shape:
        hot = hot * ops.expand_dims(factors, -1)
    return ops.sum(hot, -2)


@raw("DynamicStitch", "ParallelDynamicStitch")
def _stitched(*operands: Tensor) -> Tensor:
    """Rows put to the places that constants give them; the last one of a place stays."""
    count = len(operands) // 2
    places = [np.asarray(ints(each, "indices")).reshape(-1) for each in operands[:count]]
    flat = np.concatenate(places)
    rows = int(flat.max(initial=-1)) + 1
    source = np.full(rows, -1)
    source[flat] = np.arange(flat.size)
    if (source < 0).any():
        raise Refused(f"it leaves row {int(np.argmin(source))} of its result open")
    from_data = []
    for indices, data in zip(operands[:count], operands[count:], strict=True):
        given = value(data)
        axes = indices.ndim
        from_data.append(ops.reshape(given, (product(given.type.shape[:axes]), *given.type.shape[axes:])))
    joined = from_data[0] if count == 1 else ops.concatenate(from_data, 0)
    return ops.take(joined, source.astype("int32"), axis=0)
