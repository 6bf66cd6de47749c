"""The boxes of the highest scores of all classes, without those that overlap: as many as are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.data_sizes import fresh_size
from dagir.ir.dims import Dim
from dagir.ir.graph import Value, apply
from dagir.ir.types import DType
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.data_sizes import whole
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import Tensor, integer, sized, tensor, value


@raw("CombinedNonMaxSuppression")
def _combined(
    boxes: Tensor,
    scores: Tensor,
    most: Tensor,
    total: Tensor,
    overlap: Tensor,
    least: Tensor,
    pad_per_class: bool = False,
    clip_boxes: bool = True,
) -> tuple[Value, Value, Value, Value]:
    """boxes: f[b, a, q, 4], scores: f[b, a, c], q being 1 or c -> boxes f[b, t, 4], scores and classes f[b, t], i[b].

    The boxes that are chosen are marked among all, so that no size that the data decide leaves this function.
    """
    corners, by_class = value(boxes), ops.transpose(value(scores), (0, 2, 1))
    batch, classes, count = by_class.type.shape
    sets = corners.type.shape[2]
    if not isinstance(sets, int) or sets not in (1, classes):
        raise Refused(f"it has {sets} boxes a place for {classes} classes")
    wanted = integer(total, "max_total_size")
    if pad_per_class:
        if not isinstance(classes, int):
            raise Refused("it pads per class, of which there are as many as the data say")
        wanted = min(wanted, integer(most, "max_output_size_per_class") * classes)
    rows = ops.reshape(ops.transpose(corners, (0, 2, 1, 3)), (batch, sets * count, 4))
    kept = ops.reshape(_chosen(corners, by_class, most, overlap, least), (batch, classes * count))
    closed = ops.full((batch, wanted), np.float32(-np.inf), "float32")  # where fewer were chosen
    flat = ops.reshape(by_class, (batch, classes * count))
    ranked = ops.concatenate([ops.where(kept, flat, np.float32(-np.inf)), closed], 1)
    best, place = ops.top_k(ranked, wanted)
    place = ops.minimum(place, _size(classes * count) - 1)
    number = ops.minimum(ops.sum(ops.cast(kept, "int32"), 1), wanted)
    filled = ops.less(ops.arange(wanted), ops.expand_dims(number, 1))
    owner = place // _size(count)
    row = ops.expand_dims(place - owner * _size(count) if sets == 1 else place, -1)
    found = ops.take_along_axis(rows, ops.broadcast_to(row, (batch, wanted, 4)), 1)
    found = ops.clip(found, 0.0, 1.0) if clip_boxes else found
    return (
        ops.where(ops.expand_dims(filled, -1), found, 0.0),
        ops.where(filled, best, 0.0),
        ops.where(filled, ops.cast(owner, "float32"), 0.0),
        number,
    )


def _chosen(corners: Value, by_class: Value, most: Tensor, overlap: Tensor, least: Tensor) -> Value:
    """For each batch, class and box, flat, whether the box is chosen."""
    batch, classes, count = by_class.type.shape
    sets = corners.type.shape[2]
    if sets == 1:
        boxes = ops.reshape(corners, (batch, count, 4))
    else:
        boxes = ops.reshape(ops.transpose(corners, (0, 2, 1, 3)), (batch * classes, count, 4))
        by_class = ops.reshape(by_class, (batch * classes, 1, count))
    op = ops.NonMaxSuppression((fresh_size("selected"),))
    bounds = [ops.cast(value(tensor(each)), "float32") for each in (overlap, least)]
    rows = apply(op, boxes, by_class, whole(most), *bounds)
    first, second, third = (ops.cast(ops.take(rows, np.int32(axis), 1), "int32") for axis in range(3))
    place = (first * _size(by_class.type.shape[1]) + second) * _size(count) + third
    marks = ops.scatter(ops.expand_dims(place, 1), ops.ones_like(place), (batch * classes * count,))
    return ops.greater(marks, 0)


def _size(dim: Dim) -> Value:
    return value(sized(np.asarray(dim, object), DType.INT32))


@function("image.combined_non_max_suppression", "compat.v1.image.combined_non_max_suppression")
def combined_non_max_suppression(
    boxes: Any,
    scores: Any,
    max_output_size_per_class: Any,
    max_total_size: Any,
    iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"),
    pad_per_class: Any = False,
    clip_boxes: Any = True,
) -> tuple[Value, Value, Value, Value]:
    overlap, least = (
        tensor(float(each)) if isinstance(each, (int, float)) else each for each in (iou_threshold, score_threshold)
    )
    most, total = tensor(max_output_size_per_class), tensor(max_total_size)
    given = tensor(boxes), tensor(scores)
    return _combined(*given, most, total, overlap, least, bool(pad_per_class), bool(clip_boxes))
