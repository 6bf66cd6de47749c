"""Operators on codes that onnxruntime's optimizer writes, in the domain com.microsoft, and its fused convolution.

Most compute with the numbers that the codes stand for: onnxruntime's kernels do the same in steps of their own, and
fuse what is written of them again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dagir import ops
from dagir.ir.graph import Value, apply
from dagir.ir.types import DType
from dagir_onnx.importing import conv, pool, quantization
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import Rule, rule

_DOMAIN = "com.microsoft"


def _numbers(call: NodeCall, place: int) -> Value:
    """What the codes of an input stand for; its scale and its zero point follow it."""
    zero = call.optional(place + 2)
    scale = quantization.scalar(call.input(place + 1))
    return apply(ops.DequantizeLinear(), call.input(place), scale, None if zero is None else quantization.scalar(zero))


def _codes(call: NodeCall, numbers: Value, place: int, dtype: DType) -> Value:
    """Numbers as codes of the scale and the zero point of the result."""
    zero = call.optional(place + 1)
    found = None if zero is None else quantization.scalar(zero)
    scale = quantization.scalar(call.input(place))
    return apply(ops.QuantizeLinear(dtype=dtype if found is None else found.dtype), numbers, scale, found)


def _binary(function: Callable[[Value, Value], Value]) -> Rule:
    def read(call: NodeCall) -> Value:
        numbers = function(_numbers(call, 0), _numbers(call, 3))
        return _codes(call, numbers, 6, call.input(0).dtype)

    return read


def _unary(function: Callable[[NodeCall, Value], Value]) -> Rule:
    return lambda call: _codes(call, function(call, _numbers(call, 0)), 3, call.input(0).dtype)


rule("QLinearAdd", domain=_DOMAIN)(_binary(ops.add))
rule("QLinearMul", domain=_DOMAIN)(_binary(ops.multiply))
rule("QLinearSigmoid", domain=_DOMAIN)(_unary(lambda _, x: ops.sigmoid(x)))
rule("QLinearLeakyRelu", domain=_DOMAIN)(_unary(lambda call, x: ops.leaky_relu(x, call.attribute("alpha", 0.01))))


@rule("QLinearSoftmax", domain=_DOMAIN)
def _softmax(call: NodeCall) -> Value:
    axis = call.attribute("axis", -1)
    x = _numbers(call, 0)
    if call.attribute("opset", 13) < 13 and axis not in (-1, x.ndim - 1):
        raise call.refused("it is a softmax of opset 12 over several axes", "export the model for opset 13")
    return _codes(call, ops.softmax(x, axis), 3, call.input(0).dtype)


@rule("QLinearGlobalAveragePool", domain=_DOMAIN)
def _global_average_pool(call: NodeCall) -> Value:
    x = _numbers(call, 0)
    axes = list(range(1, x.ndim - 1)) if call.attribute("channels_last", 0) else list(range(2, x.ndim))
    return _codes(call, ops.mean(x, axes, keepdims=True), 3, call.input(0).dtype)


@rule("QLinearAveragePool", domain=_DOMAIN)
def _average_pool(call: NodeCall) -> Value:
    x = _numbers(call, 0)
    last = bool(call.attribute("channels_last", 0))
    found = pool.average_of(call, channels_first(x) if last else x)
    return _codes(call, channels_last(found) if last else found, 3, call.input(0).dtype)


def channels_first(x: Value) -> Value:
    """[n, *d, c] to [n, c, *d]."""
    return ops.transpose(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))


def channels_last(x: Value) -> Value:
    """[n, c, *d] to [n, *d, c]."""
    return ops.transpose(x, (0, *range(2, x.ndim), 1))


@rule("QLinearConcat", domain=_DOMAIN)
def _concat(call: NodeCall) -> Value:
    parts = [_numbers(call, place) for place in range(2, len(call.tensors), 3)]
    return _codes(call, ops.concatenate(parts, call.attribute("axis", 0)), 0, call.input(2).dtype)


@rule("QLinearWhere", domain=_DOMAIN)
def _where(call: NodeCall) -> Value:
    return _codes(call, ops.where(call.input(0), _numbers(call, 1), _numbers(call, 4)), 7, call.input(1).dtype)


@rule("QLinearConv", domain=_DOMAIN)
def _convolution(call: NodeCall) -> Value:
    if not call.attribute("channels_last", 0):
        return quantization.convolution(call, call.input(0))
    return channels_last(quantization.convolution(call, channels_first(call.input(0))))


rule("QuantizeLinear", domain=_DOMAIN)(quantization.quantize)
rule("DequantizeLinear", domain=_DOMAIN)(quantization.dequantize)


# ---- matrix products with integer sums


def _sums(call: NodeCall, a: Value, b: Value, zeros: tuple[Value | None, Value | None]) -> Value:
    return apply(ops.MatMulInteger(), a, b, *(None if zero is None else quantization.scalar(zero) for zero in zeros))


@rule("QGemm", domain=_DOMAIN)
def _gemm(call: NodeCall) -> Value:
    a, b = call.input(0), call.input(3)
    a = ops.transpose(a) if call.attribute("transA", 0) else a
    b = ops.transpose(b) if call.attribute("transB", 0) else b
    sums = _sums(call, a, b, (call.optional(2), call.optional(5)))
    if call.tensor(6) is not None:
        sums = ops.add(sums, call.input(6))
    scale = ops.multiply(quantization.scalar(call.input(1)), quantization.scalar(call.input(4)))
    alpha = call.attribute("alpha", 1.0)
    found = ops.multiply(ops.cast(sums, scale.dtype), scale if alpha == 1 else ops.multiply(scale, alpha))
    return found if call.tensor(7) is None else _codes(call, found, 7, a.dtype)


def _as_floats(call: NodeCall, sums: Value, scales: Sequence[Value], bias: Value | None) -> Value:
    left, right = (quantization.scalar(scale) for scale in scales)
    found = ops.multiply(ops.cast(sums, left.dtype), ops.multiply(left, right))
    return found if bias is None else ops.add(found, bias)


@rule("MatMulIntegerToFloat", domain=_DOMAIN)
def _matmul_to_float(call: NodeCall) -> Value:
    sums = _sums(call, call.input(0), call.input(1), (call.optional(4), call.optional(5)))
    return _as_floats(call, sums, [call.input(2), call.input(3)], call.optional(6))


@rule("DynamicQuantizeMatMul", domain=_DOMAIN)
def _dynamic_matmul(call: NodeCall) -> Value:
    codes, scale, zero = ops.dynamic_quantize_linear(call.input(0))
    sums = _sums(call, codes, call.input(1), (zero, call.optional(3)))
    return _as_floats(call, sums, [scale, call.input(2)], call.optional(4))


# ---- a convolution with what follows it

_ACTIVATIONS: dict[str, Callable[[Value, Sequence[float]], Value]] = {
    "Relu": lambda x, _: ops.relu(x),
    "Tanh": lambda x, _: ops.tanh(x),
    "Sigmoid": lambda x, _: ops.sigmoid(x),
    "LeakyRelu": lambda x, given: ops.leaky_relu(x, given[0] if given else 0.01),
    "Clip": lambda x, given: ops.clip(x, given[0], given[1]),
    "HardSigmoid": lambda x, given: ops.clip(ops.add(ops.multiply(x, given[0]), given[1]), 0.0, 1.0),
}


@rule("FusedConv", domain=_DOMAIN)
def _fused_convolution(call: NodeCall) -> Value:
    found = conv.convolution(call)
    if call.tensor(3) is not None:
        found = ops.add(found, call.input(3))
    return activated(call, found)


def activated(call: NodeCall, found: Value) -> Value:
    """What the activation of a fused convolution makes of its sum."""
    name = call.attribute("activation", "") or None
    if name is None:
        return found
    if name not in _ACTIVATIONS:
        raise call.refused(f"its activation {name!r} is none that onnxruntime fuses")
    return _ACTIVATIONS[name](found, call.attribute("activation_params", []))


__all__ = ["activated", "channels_first", "channels_last"]
