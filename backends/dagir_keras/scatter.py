"""Reading and writing at indices that are values."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules


@rules.rule(ops.GatherElements)
def gather_elements(op: ops.GatherElements, x: Any, indices: Any) -> Any:
    return K.take_along_axis(x, indices, axis=op.axis)


@rules.rule(ops.GatherND)
def gather_nd(op: ops.GatherND, x: Any, indices: Any) -> Any:
    """By the number of each tuple in row-major order, and of one that is out of range the number behind the last."""
    ids = K.cast(indices, "int64" if _is_long(indices) else "int32")
    batch, depth = op.batch_dims, ids.shape[-1]
    sizes = [K.cast(_size(x, axis), ids.dtype) for axis in range(batch + depth)]
    ones = K.ones_like(ids[..., 0])
    columns = [K.cumsum(ones, axis=axis) - 1 for axis in range(batch)]
    columns += [_from_the_front(ids[..., place], sizes[batch + place]) for place in range(depth)]
    place, inside, total = K.zeros_like(ones), K.equal(ones, 1), K.ones_like(sizes[0])
    for column, size in zip(columns, sizes, strict=True):
        inside = K.logical_and(inside, K.logical_and(column >= 0, column < size))
        place, total = place * size + column, total * size
    place, rest = K.where(inside, place, total), x.shape[batch + depth :]
    if None in rest:  # which no reshape can keep: each element by itself
        ones = K.ones_like(x[(0,) * (batch + depth)], dtype=ids.dtype)
        offset = K.zeros_like(ones)
        for axis in range(len(rest)):
            place = K.expand_dims(place, -1)
            offset = offset * K.cast(_size(x, batch + depth + axis), ids.dtype) + K.cumsum(ones, axis=axis) - 1
        return K.take(K.reshape(x, (-1,)), place * K.sum(ones) + offset, axis=0)
    return K.take(x if batch + depth == 1 else K.reshape(x, (-1, *rest)), place, axis=0)


def _is_long(indices: Any) -> bool:
    return str(keras.backend.standardize_dtype(indices.dtype)) in ("int64", "uint32", "uint64")


def _size(x: Any, axis: int) -> Any:
    """The size of an axis, counted where it is unknown."""
    found = x.shape[axis]
    return K.max(K.sum(K.ones_like(x, dtype="int32"), axis=axis)) if found is None else found


def _from_the_front(ids: Any, size: Any) -> Any:
    return K.where(ids < 0, ids + size, ids)


@rules.rule(ops.ScatterUpdate)
def scatter_update(op: ops.ScatterUpdate, x: Any, indices: Any, updates: Any) -> Any:
    """An index below all that count from the end becomes the size, which is out of range as well."""
    ids = K.cast(indices, "int64" if _is_long(indices) else "int32")
    sizes = [K.cast(_size(x, axis), ids.dtype) for axis in range(ids.shape[-1])]
    columns = [_from_the_front(ids[..., place], size) for place, size in enumerate(sizes)]
    places = K.stack([K.where(each < 0, size, each) for each, size in zip(columns, sizes, strict=True)], axis=-1)
    return K.scatter_update(x, places, updates, reduction=None if op.reduction == "none" else op.reduction)


@rules.rule(ops.ScatterElements)
def scatter_elements(op: ops.ScatterElements, x: Any, indices: Any, updates: Any) -> Any:
    """By tuples of indices, counted by sums, for sizes may be unknown."""
    ids = K.cast(indices, "int32")
    ones = K.ones_like(ids)
    size = _size(x, op.axis)
    columns = [
        K.where(ids < 0, ids + size, ids) if axis == op.axis else K.cumsum(ones, axis=axis) - 1
        for axis in range(len(x.shape))
    ]
    reduction = None if op.reduction == "none" else op.reduction
    places = K.reshape(K.stack(columns, axis=-1), (-1, len(x.shape)))
    return K.scatter_update(x, places, K.reshape(updates, (-1,)), reduction=reduction)
