"""Quantization, by its arithmetic: Keras has no op for codes of given scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import backend
from keras import ops as K

from dagir import ops
from dagir.ir.dims import SymbolicDim
from dagir.ir.graph import Node
from dagir.ir.types import DType
from dagir_keras.rules import rules


@rules.rule(ops.QuantizeLinear)
def quantize_linear(op: ops.QuantizeLinear, x: Any, scale: Any, zero_point: Any = None) -> Any:
    kind = _wide(scale)
    quotient = K.divide(K.cast(x, kind), spread(K.cast(scale, kind), K.shape(x), op.axis, op.block_size))
    if op.dtype.is_code:
        return short(quotient, op.dtype, op.saturate)
    zero = None if zero_point is None else spread(K.cast(zero_point, kind), K.shape(x), op.axis, op.block_size)
    return within(quotient, zero, op.dtype)


@rules.rule(ops.DequantizeLinear)
def dequantize_linear(op: ops.DequantizeLinear, x: Any, scale: Any, zero_point: Any = None) -> Any:
    kind = _wide(scale)
    numbers = K.cast(x, "int32") if "int" in backend.standardize_dtype(x.dtype) else x
    if zero_point is not None and numbers is not x:
        numbers = K.subtract(numbers, spread(K.cast(zero_point, "int32"), K.shape(x), op.axis, op.block_size))
    product = K.multiply(K.cast(numbers, kind), spread(K.cast(scale, kind), K.shape(x), op.axis, op.block_size))
    return K.cast(product, backend.standardize_dtype(scale.dtype))


@rules.rule(ops.DynamicQuantizeLinear)
def dynamic_quantize_linear(op: ops.DynamicQuantizeLinear, x: Any) -> tuple[Any, Any, Any]:
    x = K.cast(x, "float32")
    low, high = K.minimum(K.min(x), 0.0), K.maximum(K.max(x), 0.0)
    scale = K.divide(K.subtract(high, low), 255.0)
    scale = K.where(K.equal(scale, 0.0), K.ones_like(scale), scale)
    zero = K.clip(K.round(K.divide(K.negative(low), scale)), 0.0, 255.0)
    return within(K.divide(x, scale), zero, DType.UINT8), scale, K.cast(zero, "uint8")


def needs_layer(node: Node) -> bool:
    """Whether the rule can run only within a Keras layer: blocks are cut at a size that a KerasTensor may not know."""
    op, x = node.op, node.inputs[0] if node.inputs else None
    if not isinstance(op, (ops.QuantizeLinear, ops.DequantizeLinear)) or x is None or op.axis is None:
        return False
    return op.block_size > 0 and isinstance(x.type.shape[op.axis], SymbolicDim)


def _wide(scale: Any) -> str:
    return "float64" if backend.standardize_dtype(scale.dtype) == "float64" else "float32"


def spread(factors: Any, shape: Sequence[Any], axis: int | None, block_size: int) -> Any:
    """Scales or zero points in a shape that broadcasts with x."""
    if axis is None:
        return K.reshape(factors, ())
    place = axis % len(shape)
    if not block_size:
        return K.reshape(factors, [-1 if each == place else 1 for each in range(len(shape))])
    whole = K.repeat(factors, block_size, axis=place)
    return whole[(slice(None),) * place + (slice(0, shape[place]),)]


def within(quotient: Any, zero: Any, dtype: DType) -> Any:
    """Quotients rounded half to even, moved by the zero point, and limited to the codes of a dtype."""
    rounded = K.round(quotient)
    moved = rounded if zero is None else K.subtract(rounded, K.negative(zero))  # K.add may take zero for a bias
    low, high = dtype.bounds
    return K.cast(K.clip(moved, float(low), float(high)), str(dtype))


def short(x: Any, dtype: DType, saturate: bool) -> Any:
    """A short float."""
    low, high = dtype.bounds
    wide = K.cast(x, "float32")
    return K.cast(K.clip(wide, low, high) if saturate else wide, str(dtype))
