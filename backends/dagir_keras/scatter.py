"""Reading and writing at indices that are values."""

from __future__ import annotations

from typing import Any

from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules


@rules.rule(ops.GatherElements)
def gather_elements(op: ops.GatherElements, x: Any, indices: Any) -> Any:
    return K.take_along_axis(x, indices, axis=op.axis)


@rules.rule(ops.ScatterUpdate)
def scatter_update(op: ops.ScatterUpdate, x: Any, indices: Any, updates: Any) -> Any:
    return K.scatter_update(x, indices, updates, reduction=None if op.reduction == "none" else op.reduction)


@rules.rule(ops.ScatterElements)
def scatter_elements(op: ops.ScatterElements, x: Any, indices: Any, updates: Any) -> Any:
    """By tuples of indices, counted by sums, for sizes may be unknown."""
    ids = K.cast(indices, "int32")
    ones = K.ones_like(ids)
    size = K.max(K.sum(K.ones_like(x, dtype="int32"), axis=op.axis))
    columns = [
        K.where(ids < 0, ids + size, ids) if axis == op.axis else K.cumsum(ones, axis=axis) - 1
        for axis in range(len(x.shape))
    ]
    reduction = None if op.reduction == "none" else op.reduction
    places = K.reshape(K.stack(columns, axis=-1), (-1, len(x.shape)))
    return K.scatter_update(x, places, K.reshape(updates, (-1,)), reduction=reduction)
