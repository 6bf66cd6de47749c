"""Quantization, and products of codes with integer sums."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dagir import ops
from dagir.ir.graph import Value, apply, apply_node
from dagir.ir.types import DType
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.tensors import constant
from dagir_onnx.importing.windows import padded, windows_of


def scalar(given: Value) -> Value:
    """One number as a scalar: ONNX takes vectors of one element too."""
    if given.ndim == 0 or any(size != 1 for size in given.type.shape):
        return given
    source = getattr(given.source, "array", None)
    return constant(source.reshape(())) if source is not None else ops.reshape(given, ())


def _linear(call: NodeCall, x: Value, code: DType | None) -> tuple[int | None, int, list[Value | None]]:
    """Axis, block size, and the operands: x, scale, zero point."""
    scale, zero = call.input(1), call.optional(2)
    block = call.attribute("block_size", 0)
    if zero is not None and code is not None and zero.dtype is not code:
        raise call.refused(f"its zero point is {zero.dtype}, and its codes are {code}")
    if zero is not None and "float" in zero.dtype.value:
        zero = None  # it is 0: the codes of short floats have no other
    if scale.ndim == 0 or (not block and scale.type.shape == (1,)):
        return None, 0, [x, scale, zero]
    axis = call.attribute("axis", 1)
    if not -x.ndim <= axis < x.ndim:
        raise call.refused(f"its axis {axis} is none of the {x.ndim} axes of x")
    return axis % x.ndim, block, [x, scale, zero]


@rule("QuantizeLinear", since=10)
def quantize(call: NodeCall) -> Value:
    """Numbers as codes, of the dtype of the zero point, or of output_dtype."""
    x, zero = call.input(0), call.optional(2)
    code = zero.dtype if zero is not None else DType.UINT8
    if call.attribute("output_dtype", 0):
        code = call.dtype("output_dtype")
    axis, block, operands = _linear(call, x, code)
    if call.attribute("precision", 0):
        precision = call.dtype("precision")
        operands[:2] = [ops.cast(each, precision) for each in operands[:2] if each is not None]
    op = ops.QuantizeLinear(axis, block, code, bool(call.attribute("saturate", 1)))
    return apply(op, *operands)


@rule("DequantizeLinear", since=10)
def dequantize(call: NodeCall) -> Value:
    """Codes as numbers, in the dtype of the scale, or in output_dtype."""
    x = call.input(0)
    axis, block, operands = _linear(call, x, None if call.optional(2) is None else x.dtype)
    found = apply(ops.DequantizeLinear(axis, block), *operands)
    return ops.cast(found, call.dtype("output_dtype")) if call.attribute("output_dtype", 0) else found


@rule("DynamicQuantizeLinear", since=11)
def _dynamic(call: NodeCall) -> Sequence[Value]:
    return apply_node(ops.DynamicQuantizeLinear(), (call.input(0),)).outputs


def _zero(call: NodeCall, place: int, codes: Value) -> Value | None:
    """A zero point: one number, one for each row or column as a vector; None for 0."""
    found = call.optional(place)
    if found is None:
        return None
    if found.ndim == codes.ndim > 1 and any(size != 1 for size in found.type.shape):
        inner = [size for size in found.type.shape if size != 1]
        if len(inner) > 1:
            raise call.refused(f"its input {place} differs between matrices of a batch, not between rows or columns")
        return ops.reshape(found, tuple(inner))
    return scalar(found)


@rule("MatMulInteger", since=10)
def _matmul_integer(call: NodeCall) -> Value:
    a, b = call.input(0), call.input(1)
    return apply(ops.MatMulInteger(), a, b, _zero(call, 2, a), _zero(call, 3, b))


@rule("QLinearMatMul", since=10)
def _qlinear_matmul(call: NodeCall) -> Value:
    a, b = call.input(0), call.input(3)
    like = (a, a, a, b, b, b, a, a)
    given = [each if place in (0, 3) else _zero(call, place, each) for place, each in enumerate(like)]
    return apply(ops.QLinearMatMul(), *given)


def _kernel(call: NodeCall, place: int) -> Value:
    """A kernel with the filters last, as dagir's convolutions take it."""
    given = call.input(place)
    order = (*range(2, given.ndim), 1, 0)
    known = call.array(place)
    return constant(np.ascontiguousarray(known.transpose(order))) if known is not None else ops.transpose(given, order)


def _convolved(
    call: NodeCall, kind: type[ops.ConvInteger], x: Value, zero: int, w: Value
) -> tuple[Value, ops.ConvInteger]:
    """x, padded where its op cannot do it, and the op. zero: the place of the zero point, with which is padded."""
    sizes = [size for size in w.type.shape[:-2] if isinstance(size, int)]
    if len(sizes) != w.ndim - 2:
        raise call.refused("its kernel has sizes that are known at run time only")
    windows = windows_of(call, x.ndim - 2, sizes)
    filling = 0.0 if call.tensor(zero) is None else call.array(zero)
    value, padding = padded(windows, x, 0.0 if filling is None else float(np.asarray(filling).reshape(-1)[0]))
    if value is not x and filling is None:
        raise call.refused("its zero point is computed when the model runs, and its padding too")
    op = kind(windows.strides, padding, windows.dilations, call.attribute("group", 1), "channels_first")
    return value, op


@rule("ConvInteger", since=10)
def _conv_integer(call: NodeCall) -> Value:
    w = _kernel(call, 1)
    x, op = _convolved(call, ops.ConvInteger, call.input(0), 2, w)
    return apply(op, x, w, _zero(call, 2, x), _zero(call, 3, w))


@rule("QLinearConv", since=10)
def _qlinear_conv(call: NodeCall) -> Value:
    return convolution(call, call.input(0))


def convolution(call: NodeCall, x: Value) -> Value:
    """A QLinearConv. x: its first input, channels first."""
    w = _kernel(call, 3)
    x, op = _convolved(call, ops.QLinearConv, x, 2, w)
    scales = [_zero(call, place, x) for place in (1, 2)]
    filters = [_zero(call, place, w) for place in (4, 5)]
    results = [_zero(call, place, x) for place in (6, 7)]
    return apply(op, x, *scales, w, *filters, *results, call.optional(8))


__all__ = ["convolution", "dequantize", "quantize", "scalar"]
