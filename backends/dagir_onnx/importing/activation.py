"""Activations, and softmax."""

from __future__ import annotations

from collections.abc import Callable
from math import isclose, prod

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import normalize_axis
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import Rule, rule

_SELU = 1.6732632423543772, 1.0507009873554805  # of dagir's own


def _unary(function: Callable[[Value], Value]) -> Rule:
    return lambda call: function(call.input(0))


rule("HardSwish")(_unary(ops.hard_silu))
rule("Sigmoid")(_unary(ops.sigmoid))
rule("Softplus")(_unary(ops.softplus))
rule("Softsign")(_unary(ops.softsign))
rule("Tanh")(_unary(ops.tanh))


@rule("Relu")
def _relu(call: NodeCall) -> Value:
    x = call.input(0)
    return ops.relu(x) if x.dtype.is_float else ops.maximum(x, 0)


@rule("LeakyRelu")
def _leaky_relu(call: NodeCall) -> Value:
    return ops.leaky_relu(call.input(0), call.attribute("alpha", 0.01))


@rule("PRelu")
def _prelu(call: NodeCall) -> Value:
    """The slopes broadcast to x; before opset 7 a vector was one slope for each channel, on axis 1."""
    x, slope = call.input(0), call.weight(1)
    assert slope is not None
    if call.version < 7 and slope.ndim == 1 and x.ndim > 1:
        slope = ops.expand_dims(slope, tuple(range(1, x.ndim - 1))) if x.ndim > 2 else slope
    if x.dtype.is_float:
        return ops.prelu(x, slope)
    return ops.where(ops.less(x, 0), ops.multiply(x, slope), x)


@rule("Elu")
def _elu(call: NodeCall) -> Value:
    return ops.elu(call.input(0), call.attribute("alpha", 1.0))


@rule("Celu")
def _celu(call: NodeCall) -> Value:
    return ops.celu(call.input(0), call.attribute("alpha", 1.0))


@rule("Selu")
def _selu(call: NodeCall) -> Value:
    x, alpha, gamma = call.input(0), call.attribute("alpha", _SELU[0]), call.attribute("gamma", _SELU[1])
    if isclose(alpha, _SELU[0], rel_tol=1e-6) and isclose(gamma, _SELU[1], rel_tol=1e-6):
        return ops.selu(x)
    return ops.multiply(ops.elu(x, alpha), gamma)


@rule("ThresholdedRelu")
def _thresholded_relu(call: NodeCall) -> Value:
    return ops.threshold(call.input(0), call.attribute("alpha", 1.0), 0.0)


@rule("HardSigmoid")
def _hard_sigmoid(call: NodeCall) -> Value:
    x, alpha, beta = call.input(0), call.attribute("alpha", 0.2), call.attribute("beta", 0.5)
    if isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5:
        return ops.hard_sigmoid(x)
    return ops.clip(ops.add(ops.multiply(x, alpha), beta), 0.0, 1.0)


@rule("Gelu")
def _gelu(call: NodeCall) -> Value:
    return ops.gelu(call.input(0), approximate=call.attribute("approximate", "none") == "tanh")


@rule("Mish")
def _mish(call: NodeCall) -> Value:
    x = call.input(0)
    return ops.multiply(x, ops.tanh(ops.softplus(x)))


@rule("Swish")
def _swish(call: NodeCall) -> Value:
    x, alpha = call.input(0), call.attribute("alpha", 1.0)
    return ops.silu(x) if alpha == 1 else ops.multiply(x, ops.sigmoid(ops.multiply(x, alpha)))


@rule("Shrink")
def _shrink(call: NodeCall) -> Value:
    """x nearer to zero by `bias` where it is beyond `lambd`, 0 elsewhere."""
    x, bias, limit = call.input(0), call.attribute("bias", 0.0), call.attribute("lambd", 0.5)
    if x.dtype.is_float and limit >= 0 and bias in (0, limit):
        return ops.soft_shrink(x, limit) if bias else ops.hard_shrink(x, limit)
    bias, limit = (bias, limit) if x.dtype.is_float else (int(bias), limit)
    zero = ops.zeros_like(x)
    below = ops.less(_float(x), -limit)
    above = ops.greater(_float(x), limit)
    return ops.where(below, ops.add(x, bias), ops.where(above, ops.subtract(x, bias), zero))


def _float(x: Value) -> Value:
    return x if x.dtype.is_float else ops.cast(x, "float32")


# ---- softmax


def _along_axis(function: Callable[..., Value]) -> Rule:
    return lambda call: function(call.input(0), axis=call.attribute("axis", -1))


def _flattened(function: Callable[..., Value]) -> Rule:
    """Before opset 13: over all axes from `axis` on, as of a matrix."""

    def apply(call: NodeCall) -> Value:
        x = call.input(0)
        axis = normalize_axis(call.attribute("axis", 1), x.ndim) if x.ndim else 0
        rest = x.type.shape[axis:]
        if len(rest) <= 1 or all(size == 1 for size in rest[1:]):
            return function(x, axis=axis)
        flat = ops.reshape(x, (*x.type.shape[:axis], prod(rest, start=1)))
        return ops.reshape(function(flat, axis=-1), x.type.shape)

    return apply


def _hardmax(x: Value, axis: int) -> Value:
    """1 at the first of the largest elements, 0 elsewhere."""
    place = ops.argmax(x, axis)
    return ops.one_hot(place, x.type.shape[axis], normalize_axis(axis, x.ndim), x.dtype)


for _name, _function in {"Softmax": ops.softmax, "LogSoftmax": ops.log_softmax, "Hardmax": _hardmax}.items():
    rule(_name, since=13)(_along_axis(_function))
    rule(_name, until=12)(_flattened(_function))
