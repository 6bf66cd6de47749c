"""Quantization."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from dagir import ops
from dagir.ir.types import Array, DType
from dagir_numpy.codes import encoded
from dagir_numpy.rules import rules


@rules.rule(ops.QuantizeLinear)
def quantize_linear(op: ops.QuantizeLinear, x: Array, scale: Array, zero_point: Array | None = None) -> Array:
    wide = widest(x.astype(scale.dtype) if x.dtype.kind == "i" else x)
    quotient = wide / widest(spread(scale, x.shape, op.axis, op.block_size))
    if "float" in op.dtype.value:
        return encoded(quotient, op.dtype, op.saturate)
    zero = 0 if zero_point is None else spread(zero_point, x.shape, op.axis, op.block_size).astype(np.int64)
    return within(np.rint(quotient), zero, op.dtype)


@rules.rule(ops.DequantizeLinear)
def dequantize_linear(op: ops.DequantizeLinear, x: Array, scale: Array, zero_point: Array | None = None) -> Array:
    kind = widest(scale).dtype
    if "float" in x.dtype.name:
        numbers = x.astype(np.float32).astype(kind)
    else:
        whole = x.astype(np.int64)
        if zero_point is not None:
            whole = whole - spread(zero_point, x.shape, op.axis, op.block_size).astype(np.int64)
        numbers = whole.astype(kind)
    return numbers * spread(scale, x.shape, op.axis, op.block_size)


@rules.rule(ops.DynamicQuantizeLinear)
def dynamic_quantize_linear(op: ops.DynamicQuantizeLinear, x: Array) -> tuple[Array, Array, Array]:
    x = widest(x)
    low, high = np.minimum(x.min(initial=0), 0), np.maximum(x.max(initial=0), 0)
    scale = np.asarray((high - low) / x.dtype.type(255))
    scale = np.where(scale == 0, np.ones_like(scale), scale)
    zero = within(np.rint(-low / scale), 0, DType.UINT8)
    return within(np.rint(x / scale), zero.astype(np.int64), DType.UINT8), scale, zero


def widest(array: Array) -> Array:
    """Halves as float32: kernels divide in that."""
    return array.astype(np.float32) if array.dtype in (np.float16, ml_dtypes.bfloat16) else array


def spread(factors: Array, shape: tuple[int, ...], axis: int | None, block_size: int) -> Array:
    """Scales or zero points in a shape that broadcasts with x."""
    if axis is None:
        return factors.reshape(())
    if not block_size:
        return factors.reshape([-1 if each == axis % len(shape) else 1 for each in range(len(shape))])
    whole = np.repeat(factors, block_size, axis)
    return np.take(whole, np.arange(shape[axis]), axis)


def within(numbers: Array, zero: Array | int, dtype: DType) -> Array:
    """Whole numbers in floats, moved by the zero point and limited to the codes of a dtype."""
    low, high = dtype.bounds
    wide = np.clip(np.nan_to_num(numbers.astype(np.float64), nan=0.0), -(2.0**40), 2.0**40)
    return np.asarray(np.clip(wide + zero, low, high)).astype(np.int64).astype(dtype.numpy)
