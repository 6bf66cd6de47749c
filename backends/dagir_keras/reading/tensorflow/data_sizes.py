"""What has a size that the data decide: places, masks, different elements, boxes; and parts between computed bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.data_sizes import fresh_size
from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.graph import Value, apply, apply_node
from dagir.ir.types import DType
from dagir.ops.data_parts import Part, all_parts_by_data
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.dtypes import dtype_of
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import Tensor, constant_of, integer, sized, tensor, value

_INT64 = DType.INT64


def whole(data: Any) -> Value:
    """A size, or a number of the data, as an int64 scalar."""
    if isinstance(data, SymbolicDim):
        data = sized(np.asarray(data, object), _INT64)
    return ops.cast(value(tensor(data)), _INT64)


def cut_by_data(x: Value, keys: Sequence[Any]) -> tuple[Value, list[Any]]:
    """x cut by the Parts among the keys, and the keys that are left to do."""
    used = sum(key is not None and key is not Ellipsis for key in keys)
    axis, left = 0, list(keys)
    for place, key in enumerate(keys):
        if key is Ellipsis:
            axis += x.ndim - used
        elif key is not None:
            if isinstance(key, Part):
                x, left[place] = key.of(x, axis), slice(None)
            axis += 1
    return x, left


def mirrored(x: Value, pads: Sequence[tuple[Dim, Dim]], how: str) -> Value:
    """x grown at the ends of its axes by its mirror image, by as many as the data say; "symmetric" repeats the edge."""
    for axis, (before, after) in enumerate(pads):
        if not (type(before) is int and type(after) is int and before == after == 0):
            size = x.type.shape[axis]
            edge = 0 if how == "symmetric" else 1
            last, places = whole(size) - edge, whole(0) + ops.cast(ops.arange(before + size + after), _INT64)
            period = ops.maximum(whole(size) + last - edge, 1)
            turned = ops.mod(places - whole(before), period)
            x = ops.take(x, ops.where(ops.less(turned, whole(size)), turned, period - 1 + edge - turned), axis)
    return x


def parts_of_data(given: Value, sizes: Value, axis: int) -> list[Tensor]:
    """Parts of an axis, of sizes that the data decide, one of which may be -1."""
    whole = value(sized(np.asarray(given.type.shape[axis], object), sizes.dtype))
    sizes = ops.where(ops.less(sizes, 0), whole - ops.sum(ops.maximum(sizes, 0)), sizes)
    return list(all_parts_by_data(given, ops.unstack(sizes, axis=0), axis % given.ndim))


def rolled(given: Value, shift: Value, axes: Sequence[int]) -> Tensor:
    """Elements moved along axes, by as many places as the data say."""
    steps = ops.unstack(shift, axis=0) if shift.ndim else [shift]
    for step, axis in zip(steps, axes, strict=True):
        size = value(sized(np.asarray(given.type.shape[axis], object), DType.INT32))
        places = ops.mod(ops.arange(given.type.shape[axis]) - ops.cast(step, "int32"), size)
        given = ops.take(given, places, axis)
    return given


def grown_by_data(given: Value, target: list[Dim]) -> tuple[Value, list[Dim]]:
    """A value to broadcast, and its target.

    A size other than 1 must be the one that the data ask for: that is checked when the model runs.
    """
    first = len(target) - given.ndim
    own = given.type.shape
    pairs = [(size, goal) for size, goal in zip(own, target[first:], strict=True) if size != 1]
    kept = [goal if size == 1 else size for size, goal in zip(own, target[first:], strict=True)]
    op = ops.EqualSizes(tuple(size for size, _ in pairs), tuple(goal for _, goal in pairs))
    return apply(op, given), [*target[:first], *kept]


def cropped(whole: Value, crops: Value) -> Value:
    """Without what the data say to cut off at both ends of the axes after the first."""
    for axis, pair in enumerate(ops.unstack(crops, axis=0), 1):
        before, after = ops.unstack(pair, axis=0)
        size = value(sized(np.asarray(whole.type.shape[axis], object), crops.dtype))
        whole = Part(before, size - after).of(whole, axis)
    return whole


@raw("Where")
def places(condition: Tensor) -> Tensor:
    """tf.where(condition): int64[n, rank]."""
    known = constant_of(condition)
    if known is not None:
        return tensor(np.argwhere(known).astype(np.int64))
    return ops.transpose(apply(ops.NonZero((fresh_size("nonzero"),)), value(condition)), (1, 0))


@function("boolean_mask", "compat.v1.boolean_mask")
def boolean_mask(tensor: Any, mask: Any, axis: Any = None) -> Tensor:
    """The parts of a tensor where a mask holds."""
    return ops.boolean_mask(_value(tensor), _value(mask), 0 if axis is None else integer(axis, "axis"))


def _value(data: Any) -> Value:
    return value(tensor(data))


def _unique(x: Any, axis: int | None, out_idx: Any) -> list[Tensor]:
    found = apply_node(ops.Unique((fresh_size("unique"),), axis, False), (_value(x),)).outputs
    return [found[0], *(ops.cast(found[place], dtype_of(out_idx)) for place in (2, 3))]


@raw("Unique")
@function("unique", "compat.v1.unique")
def unique(x: Any, out_idx: Any = DType.INT32) -> tuple[Tensor, Tensor]:
    """The different elements in the order in which they come, and which of them each element is."""
    values, which, _ = _unique(x, None, out_idx)
    return values, which


@raw("UniqueWithCounts")
@function("unique_with_counts", "compat.v1.unique_with_counts")
def unique_with_counts(x: Any, out_idx: Any = DType.INT32) -> tuple[Tensor, ...]:
    """The same, and how often each occurs."""
    return tuple(_unique(x, None, out_idx))


def _axis_of(x: Any, axis: Any) -> int | None:
    given = constant_of(tensor(axis))
    if given is None:
        raise Refused("its axis is computed from the data")
    return int(given.reshape(-1)[0]) if given.size else None


@raw("UniqueV2")
def _unique_along(x: Tensor, axis: Tensor, out_idx: Any = DType.INT32) -> tuple[Tensor, ...]:
    return tuple(_unique(x, _axis_of(x, axis), out_idx)[:2])


@raw("UniqueWithCountsV2")
def _unique_along_with_counts(x: Tensor, axis: Tensor, out_idx: Any = DType.INT32) -> tuple[Tensor, ...]:
    return tuple(_unique(x, _axis_of(x, axis), out_idx))


@raw("DynamicPartition")
def _partition(data: Tensor, partitions: Tensor, num_partitions: int = 1) -> tuple[Tensor, ...]:
    given, owners = value(data), value(partitions)
    return tuple(ops.boolean_mask(given, ops.equal(owners, place)) for place in range(num_partitions))


@function("dynamic_partition")
def dynamic_partition(data: Any, partitions: Any, num_partitions: Any) -> list[Tensor]:
    """The rows of each partition."""
    return list(_partition(tensor(data), tensor(partitions), integer(num_partitions, "num_partitions")))


# ---- boxes


def _selected(boxes: Any, scores: Any, most: Any, overlap: Any, least: Any = None) -> Value:
    corners = _value(boxes)
    return ops.non_max_suppression(corners, _value(scores), whole(most), _as(overlap, corners), _as(least, corners))


def _as(bound: Any, like: Value) -> Any:
    return None if bound is None else ops.cast(value(tensor(bound, like=like)), like.dtype)


@raw("NonMaxSuppressionV2", "NonMaxSuppressionV3")
def _suppressed(boxes: Tensor, scores: Tensor, most: Tensor, overlap: Tensor, least: Tensor | None = None) -> Tensor:
    return _selected(boxes, scores, most, overlap, least)


@raw("NonMaxSuppression")
def _suppressed_of_1(boxes: Tensor, scores: Tensor, most: Tensor, iou_threshold: float = 0.5) -> Tensor:
    return _selected(boxes, scores, most, iou_threshold)


@raw("NonMaxSuppressionV4")
def _padded(
    boxes: Tensor, scores: Tensor, most: Tensor, overlap: Tensor, least: Tensor, pad_to_max_output_size: bool = False
) -> tuple[Tensor, Tensor]:
    found = _selected(boxes, scores, most, overlap, least)
    count = value(sized(np.asarray(found.type.shape[0], object), DType.INT32))
    return (_filled_up(found, most) if pad_to_max_output_size else found), count


@raw("NonMaxSuppressionV5")
def _scored(
    boxes: Tensor,
    scores: Tensor,
    most: Tensor,
    overlap: Tensor,
    least: Tensor,
    sigma: Tensor,
    pad_to_max_output_size: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    soft = constant_of(sigma)
    if soft is None or soft.any():
        raise Refused("it lowers the scores of boxes that overlap, which ONNX does not", "set soft_nms_sigma to 0")
    found, count = _padded(boxes, scores, most, overlap, least)
    chosen = ops.take(value(scores), value(found), 0)
    if pad_to_max_output_size:
        return _filled_up(value(found), most), _filled_up(chosen, most), count
    return found, chosen, count


def _filled_up(found: Value, most: Any) -> Value:
    """The vector with zeros behind it, `most` elements in all."""
    known = constant_of(tensor(most))
    count = int(known) if known is not None else ops.size_from(whole(most))
    zeros = ops.zeros((count,), found.dtype)
    return ops.take(ops.concatenate([found, zeros], 0), ops.arange(count), 0)


@function("image.non_max_suppression", "compat.v1.image.non_max_suppression")
def non_max_suppression(
    boxes: Any, scores: Any, max_output_size: Any, iou_threshold: Any = 0.5, score_threshold: Any = float("-inf")
) -> Tensor:
    """The places of the boxes of the highest scores that do not overlap."""
    return _selected(boxes, scores, max_output_size, iou_threshold, score_threshold)
