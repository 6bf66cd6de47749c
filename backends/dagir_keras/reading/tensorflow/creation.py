"""Tensors made of sizes alone: zeros, ones, one-hot codes, masks of lengths."""

from __future__ import annotations

from typing import Any

from dagir import ops
from dagir.ir.types import DType
from dagir.ops.counts import countable
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.dtypes import dtype_of
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.shape import filled, of_kind
from dagir_keras.reading.tensorflow.tensors import (
    Tensor,
    cast,
    dims,
    integer,
    is_tensor,
    number,
    tensor,
    value,
)


@raw("Fill")
@function("fill", "compat.v1.fill")
def fill(dims: Any, value: Any) -> Tensor:
    return filled(dims, value)


@function("zeros", "keras.backend.zeros")
def _zeros(shape: Any, dtype: Any = DType.FLOAT32, layout: Any = None) -> Tensor:
    return filled(shape, tensor(0, _or_float(dtype)))


@function("ones", "keras.backend.ones")
def _ones(shape: Any, dtype: Any = DType.FLOAT32, layout: Any = None) -> Tensor:
    return filled(shape, tensor(1, _or_float(dtype)))


def _or_float(dtype: Any) -> DType:
    return DType.FLOAT32 if dtype is None else dtype_of(dtype)


@raw("ZerosLike")
def _zeros_raw(x: Tensor) -> Tensor:
    return _alike(x, 0, None)


@raw("OnesLike")
def _ones_raw(x: Tensor) -> Tensor:
    return _alike(x, 1, None)


def _alike(data: Any, number: int, dtype: Any) -> Tensor:
    given = tensor(data)
    if given.dtype is DType.BOOL and dtype is None:
        return ops.full(given.type.shape if hasattr(given, "type") else given.shape, bool(number), DType.BOOL)
    made = of_kind(given if given.dtype is not DType.BOOL else ops.cast(value(given), DType.INT32), number)
    return cast(made, given.dtype if dtype is None else dtype_of(dtype))


@function("zeros_like")
def zeros_like(input: Any, dtype: Any = None, layout: Any = None) -> Tensor:
    return _alike(input, 0, dtype)


@function("ones_like")
def ones_like(input: Any, dtype: Any = None, layout: Any = None) -> Tensor:
    return _alike(input, 1, dtype)


@function("compat.v1.zeros_like", "keras.backend.zeros_like")
def _zeros_like_of_1(tensor: Any, dtype: Any = None, optimize: Any = True) -> Tensor:
    return _alike(tensor, 0, dtype)


@function("compat.v1.ones_like", "keras.backend.ones_like")
def _ones_like_of_1(tensor: Any, dtype: Any = None, optimize: Any = True) -> Tensor:
    return _alike(tensor, 1, dtype)


@function(
    "convert_to_tensor", "compat.v1.convert_to_tensor", "constant", "compat.v1.constant", "keras.backend.constant"
)
def _convert(value: Any, dtype: Any = None, dtype_hint: Any = None, preferred_dtype: Any = None) -> Tensor:
    wanted = dtype_of(dtype) if dtype is not None else None
    found = tensor(value, wanted)
    if wanted is not None and found.dtype is not wanted:
        raise Refused(f"it makes {wanted} of a tensor of {found.dtype}", "cast it: tf.cast")
    return found


def _hot(indices: Any, depth: Any, on: Tensor, off: Tensor, axis: int) -> Tensor:
    given, (count,) = value(tensor(indices)), dims(depth, "depth")
    hits = ops.one_hot(given, count, axis if axis >= 0 else given.ndim, DType.FLOAT32)
    return ops.where(ops.greater(hits, 0.5), value(on), value(off))


@raw("OneHot")
def one_hot_raw(indices: Tensor, depth: Tensor, on_value: Tensor, off_value: Tensor, axis: int = -1) -> Tensor:
    return _hot(indices, depth, on_value, off_value, axis)


@function("one_hot", "compat.v1.one_hot")
def one_hot(
    indices: Any, depth: Any, on_value: Any = None, off_value: Any = None, axis: Any = None, dtype: Any = None
) -> Tensor:
    """1 at the place of each index along a new axis, 0 elsewhere; a negative index is nowhere."""
    given = next((each for each in (on_value, off_value) if is_tensor(each)), None)
    target = dtype_of(dtype) if dtype is not None else None
    if target is None and given is None and (on_value is None and off_value is None):
        target = DType.FLOAT32
    if target is DType.BOOL:
        on, off = tensor(True if on_value is None else on_value), tensor(False if off_value is None else off_value)
    else:
        first = tensor(1 if on_value is None else on_value, target, like=given)
        on, off = first, tensor(0 if off_value is None else off_value, target, like=first)
        if on.dtype is not off.dtype:
            on = cast(on, off.dtype)
    return _hot(indices, depth, on, off, -1 if axis is None else integer(axis, "axis"))


@function("keras.backend.one_hot")
def _one_hot_of_keras(indices: Any, num_classes: Any) -> Tensor:
    return one_hot(indices, num_classes)


@function("sequence_mask")
def sequence_mask(lengths: Any, maxlen: Any = None, dtype: Any = DType.BOOL) -> Tensor:
    """Whether each place is before the length."""
    given = countable(value(tensor(lengths)))
    if maxlen is None:
        raise Refused("its result is as long as the longest length, which the data decide", "give maxlen")
    (count,) = dims(maxlen, "maxlen")
    places = ops.cast(ops.arange(count), given.dtype)
    mask = ops.less(places, ops.expand_dims(given, given.ndim))
    return cast(mask, dtype_of(dtype))


@function("eye", "linalg.eye", "compat.v1.linalg.eye", "keras.backend.eye")
def eye(num_rows: Any, num_columns: Any = None, batch_shape: Any = None, dtype: Any = DType.FLOAT32) -> Tensor:
    """1 on the diagonal, for each of a batch."""
    (rows,) = dims(num_rows, "num_rows")
    columns = rows if num_columns is None else dims(num_columns, "num_columns")[0]
    made = ops.eye(rows, columns, dtype=dtype_of(dtype))
    if batch_shape is None:
        return made
    return ops.broadcast_to(made, (*dims(batch_shape, "batch_shape"), rows, columns))


@raw("LinSpace")
@function("linspace", "compat.v1.lin_space", "compat.v1.linspace")
def linspace(start: Any, stop: Any, num: Any, axis: Any = 0) -> Tensor:
    """Numbers with equal steps from start to stop."""
    first = tensor(start)
    low, high = number(first, "start"), number(stop, "stop")
    return ops.linspace(low, high, integer(num, "num"), dtype=first.dtype)


@function("compat.v1.placeholder_with_default")
def _default(input: Any, shape: Any) -> Tensor:
    return tensor(input)
