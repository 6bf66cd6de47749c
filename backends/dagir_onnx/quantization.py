"""Quantization: the operators themselves where the opset and onnxruntime have them, else their arithmetic."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.types import DType, TensorType
from dagir_onnx.codes import refuse_older
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.integers import cast
from dagir_onnx.rules import rules
from dagir_onnx.views import Axes

_OF_OPSET_10 = (DType.INT8, DType.UINT8)
_OF_OPSET_19 = (DType.FLOAT8_E4M3FN, DType.FLOAT8_E4M3FNUZ, DType.FLOAT8_E5M2, DType.FLOAT8_E5M2FNUZ)
_BLOCKS_SINCE = 21


@rules.rule(ops.QuantizeLinear)
def quantize_linear(
    op: ops.QuantizeLinear, emit: Emitter, x: Tensor, scale: Tensor, zero_point: Tensor | None = None
) -> Tensor:
    refuse_older(emit, op.dtype)
    scale = scale if scale.type.dtype is DType.FLOAT32 else cast(emit, scale, DType.FLOAT32)
    if x.type.dtype is not DType.FLOAT64 and _has_operator(emit, op, op.dtype, scale):
        wide = x if x.type.dtype is DType.FLOAT32 else cast(emit, x, DType.FLOAT32)
        zero = _zeros(emit, scale, op.dtype) if zero_point is None and op.dtype is not DType.UINT8 else zero_point
        saturate = 0 if op.dtype in _OF_OPSET_19 and not op.saturate else None
        kind = x.type.with_dtype(op.dtype)
        return emit("QuantizeLinear", wide, scale, zero, saturate=saturate, type=kind, **_along(op, emit))
    return _quantized(op, emit, x, scale, zero_point)


@rules.rule(ops.DequantizeLinear)
def dequantize_linear(
    op: ops.DequantizeLinear, emit: Emitter, x: Tensor, scale: Tensor, zero_point: Tensor | None = None
) -> Tensor:
    refuse_older(emit, x.type.dtype)
    fixed = all(each is None or each.is_initializer for each in (x, scale, zero_point))
    found = (_stored if fixed else _dequantized)(op, emit, x, scale, zero_point)
    return replace(found, is_dequantized=True)


def _stored(op: ops.DequantizeLinear, emit: Emitter, x: Tensor, scale: Tensor, zero_point: Tensor | None) -> Tensor:
    """The numbers of codes that are stored, which can be had with their axes in another order."""

    def permuted(axes: Axes) -> Tensor:
        axis = None if op.axis is None else axes.index(op.axis % x.type.rank)
        factors = [
            each if each is None or not op.block_size else _moved(emit, each, axes) for each in (scale, zero_point)
        ]
        assert factors[0] is not None
        return _stored(replace(op, axis=axis), emit, _moved(emit, x, axes), factors[0], factors[1])

    found = replace(_dequantized(op, emit, x, scale, zero_point), permuted=permuted)
    symmetric = zero_point is None and not op.block_size and op.axis is not None and op.axis % x.type.rank == 1
    if symmetric and x.type.dtype is DType.INT8 and x.type.rank == 2:
        return replace(found, codes=x, scale=scale)
    return found


def _moved(emit: Emitter, stored: Tensor, axes: Axes) -> Tensor:
    """An initializer with its axes in another order, and axes of size 1 where these are None."""
    moved = emit.transposed(stored, [axis for axis in axes if axis is not None])
    places = tuple(place for place, axis in enumerate(axes) if axis is None)
    if not places:
        return moved
    shape = tuple(1 if axis is None else stored.type.shape[axis] for axis in axes)
    how = "unsqueezed" + "".join(map(str, places))
    return emit.derived(moved, how, lambda array: np.expand_dims(array, places), moved.type.with_shape(shape))


def _dequantized(
    op: ops.DequantizeLinear, emit: Emitter, x: Tensor, scale: Tensor, zero_point: Tensor | None
) -> Tensor:
    target = scale.type.dtype
    if target is not DType.FLOAT64 and _has_operator(emit, op, x.type.dtype, scale):
        wide = scale if target is DType.FLOAT32 else cast(emit, scale, DType.FLOAT32)
        kind = x.type.with_dtype(DType.FLOAT32)
        found: Tensor = emit("DequantizeLinear", x, wide, zero_point, type=kind, **_along(op, emit))
        return cast(emit, found, target)
    numbers = cast(emit, x, target)
    if zero_point is not None:
        whole = cast(emit, x, DType.INT64), _spread(op, emit, cast(emit, zero_point, DType.INT64), x)
        numbers = cast(emit, emit("Sub", *whole, type=x.type.with_dtype(DType.INT64)), target)
    product: Tensor = emit("Mul", numbers, _spread(op, emit, scale, x))
    return product


def _has_operator(emit: Emitter, op: ops.QuantizeLinear | ops.DequantizeLinear, code: DType, scale: Tensor) -> bool:
    if op.block_size and (emit.opset < _BLOCKS_SINCE or all(size == 1 for size in scale.type.shape)):
        return False  # one number is taken for that of a tensor, and then a block size is refused
    known = code in _OF_OPSET_10 or (code is DType.INT32 and isinstance(op, ops.DequantizeLinear))
    return known or code in _OF_OPSET_19 or emit.opset >= _BLOCKS_SINCE


def _along(op: ops.QuantizeLinear | ops.DequantizeLinear, emit: Emitter) -> dict[str, Any]:
    return {"axis": op.axis, "block_size": op.block_size or None}


def _zeros(emit: Emitter, scale: Tensor, dtype: DType) -> Tensor:
    """A zero point, by which the operator knows the dtype of its codes."""
    sizes = [size for size in scale.type.shape if isinstance(size, int)]
    if len(sizes) == scale.type.rank:
        return emit.constant(np.zeros(sizes, np.int8).astype(dtype.numpy))
    zero = emit.constant(np.zeros((), np.int8).astype(dtype.numpy))
    found: Tensor = emit("Expand", zero, emit("Shape", scale), type=TensorType(dtype, scale.type.shape))
    return found


def _spread(op: ops.QuantizeLinear | ops.DequantizeLinear, emit: Emitter, factors: Tensor, x: Tensor) -> Tensor:
    """Scales or zero points in a shape that broadcasts with x."""
    rank = x.type.rank
    if op.axis is None:
        scalar: Tensor = emit("Squeeze", factors) if factors.type.rank else factors
        return scalar
    axis = op.axis % rank
    if not op.block_size:
        shape = [-1 if each == axis else 1 for each in range(rank)]
        found: Tensor = emit("Reshape", factors, emit.ints(*shape))
        return found
    places = np.int64(op.block_size)
    size: Dim = x.type.shape[axis]
    count = emit("Squeeze", emit.size(size), type=TensorType(DType.INT64, ()))
    steps = emit("Range", emit.constant(0, np.int64), count, emit.constant(1, np.int64))
    block = emit("Div", steps, emit.constant(places), type=TensorType(DType.INT64, (size,)))
    gathered: Tensor = emit("Gather", factors, block, axis=axis)
    return gathered


def _quantized(op: ops.QuantizeLinear, emit: Emitter, x: Tensor, scale: Tensor, zero_point: Tensor | None) -> Tensor:
    """By Div, Round, Add and Clip, in float64 where x has that."""
    kind = DType.FLOAT64 if x.type.dtype is DType.FLOAT64 else DType.FLOAT32
    quotient = emit("Div", cast(emit, x, kind), _spread(op, emit, cast(emit, scale, kind), x))
    rounded = emit("Round", quotient, type=x.type.with_dtype(kind))
    if zero_point is not None:
        rounded = emit("Add", rounded, _spread(op, emit, cast(emit, zero_point, kind), x), type=rounded.type)
    ends = [emit.constant(float(end), kind) for end in op.dtype.bounds]
    return cast(emit, emit("Clip", rounded, *ends, type=rounded.type), op.dtype)


@rules.rule(ops.DynamicQuantizeLinear)
def dynamic_quantize_linear(op: ops.DynamicQuantizeLinear, emit: Emitter, x: Tensor) -> tuple[Tensor, ...]:
    found: tuple[Tensor, ...] = emit("DynamicQuantizeLinear", cast(emit, x, DType.FLOAT32), outputs=3)
    return found
