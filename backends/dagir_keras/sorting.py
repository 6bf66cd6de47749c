"""Sorting, the largest elements, and search in sorted arrays."""

from __future__ import annotations

from typing import Any

from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules


@rules.rule(ops.Sort)
def sort(op: ops.Sort, x: Any) -> Any:
    return K.sort(x, axis=op.axis)


@rules.rule(ops.ArgSort)
def arg_sort(op: ops.ArgSort, x: Any) -> Any:
    return K.argsort(x, axis=op.axis)


@rules.rule(ops.TopK)
def top_k(op: ops.TopK, x: Any) -> Any:
    if not op.largest:
        places = K.take(K.argsort(x, axis=op.axis), list(range(op.k)), axis=op.axis)
        return K.take_along_axis(x, places, axis=op.axis), K.cast(places, str(op.dtype))
    values, places = K.top_k(K.moveaxis(x, op.axis, -1), op.k)
    back = [K.moveaxis(each, -1, op.axis) for each in (values, places)]
    return back[0], K.cast(back[1], str(op.dtype))


@rules.rule(ops.SearchSorted)
def search_sorted(op: ops.SearchSorted, sorted: Any, values: Any) -> Any:
    """TensorFlow's search takes values of rank 1 only, for a sequence of rank 1."""
    if len(values.shape) == 1:
        return K.searchsorted(sorted, values, side=op.side)
    if sum(size is None for size in values.shape) > 1:  # no shape to go back to
        wide = K.expand_dims(values, -1)
        follows = K.greater(wide, sorted) if op.side == "left" else K.greater_equal(wide, sorted)
        return K.sum(K.cast(follows, "int32"), axis=-1)
    found = K.searchsorted(sorted, K.reshape(values, (-1,)), side=op.side)
    return K.reshape(found, tuple(-1 if size is None else size for size in values.shape))
