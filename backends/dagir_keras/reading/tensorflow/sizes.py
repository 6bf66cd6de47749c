"""The shape of a tensor, its rank and its size, as tensors of sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.types import DType, Equations
from dagir.ops.creation import spend_elements
from dagir_keras.reading.tensorflow.dtypes import dtype_of
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import (
    Tensor,
    cast,
    constant_of,
    dims,
    entries,
    integer,
    is_tensor,
    product,
    shape_of,
    sized,
    tensor,
    value,
)


@raw("Shape")
@function("shape", "compat.v1.shape", "keras.backend.shape")
def shape(input: Any, out_type: Any = None) -> Tensor:
    """The sizes of all axes."""
    sizes = shape_of(tensor(input))
    array = np.empty(len(sizes), object)
    array[:] = sizes
    return sized(array, DType.INT32 if out_type is None else dtype_of(out_type))


@raw("ShapeN")
def _shapes_raw(*input: Tensor, out_type: Any = None) -> tuple[Tensor, ...]:
    return tuple(shape(each, out_type) for each in input)


@function("shape_n")
def _shapes(input: Any, out_type: Any = DType.INT32) -> list[Tensor]:
    return [shape(each, out_type) for each in input]


@raw("Size")
@function("size", "compat.v1.size", "keras.backend.size")
def size(input: Any, out_type: Any = None) -> Tensor:
    """The number of elements."""
    count = product(shape_of(tensor(input)))
    return sized(np.asarray(count, object), DType.INT32 if out_type is None else dtype_of(out_type))


@raw("Rank")
@function("rank")
def rank(input: Any) -> Tensor:
    """The number of axes."""
    return tensor(len(shape_of(tensor(input))))


@raw("EnsureShape")
@function("ensure_shape", "compat.v1.ensure_shape")
def ensure_shape(x: Any, shape: Any) -> Tensor:
    """x, whose sizes are held against those given when the model runs."""
    given = value(tensor(x))
    if shape is None:
        return given
    wanted = [None if each is None or each == -1 else each for each in shape]
    sizes = [
        own if size is None else dims(size, "shape")[0] for own, size in zip(given.type.shape, wanted, strict=True)
    ]
    return given if tuple(sizes) == given.type.shape else ops.reshape(given, sizes)


@raw("BroadcastArgs")
@function("broadcast_dynamic_shape")
def _broadcast_sizes(shape_x: Any, shape_y: Any) -> Tensor:
    left, right = tensor(shape_x, DType.INT32), tensor(shape_y, DType.INT32)
    found = Equations().broadcast(dims(left, "shape"), dims(right, "shape"))
    array = np.empty(len(found), object)
    array[:] = found
    return sized(array, left.dtype)


@raw("Range")
def range_(start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    """start, start + delta ..., up to before the limit."""
    if any(entries(each) is None and constant_of(each) is None for each in (start, limit, delta)):
        return ops.range_of(value(start), value(limit), value(delta))
    if start.dtype.is_integer:
        (first,), (last,), step = dims(start, "start"), dims(limit, "limit"), integer(delta, "delta")
        if isinstance(first, int) and isinstance(last, int) and step and len(known := range(first, last, step)) <= 4096:
            return sized(np.asarray(known, object), start.dtype)
        return ops.arange(first, last, step, start.dtype)
    begin, end, stride = [found for each in (start, limit, delta) if (found := constant_of(each)) is not None]
    count = int(np.ceil(np.abs((end - begin) / stride)))
    spend_elements("tf.range", count)
    return tensor((begin + np.arange(count, dtype=begin.dtype) * stride).astype(begin.dtype))


@function("range", "keras.backend.arange")
def _range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None) -> Tensor:
    if limit is None:
        start, limit = 0, start
    target = None if dtype is None else dtype_of(dtype)
    parts = [tensor(each, target if not is_tensor(each) else None) for each in (start, limit, delta)]
    if target is None:
        order = (DType.INT32, DType.INT64, DType.FLOAT32, DType.FLOAT64)
        target = max((part.dtype for part in parts), key=order.index)
    return range_(*[cast(part, target) for part in parts])
