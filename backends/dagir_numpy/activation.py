"""Activation functions, written so that no intermediate overflows where the result does not."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import pi, sqrt

import numpy as np

from dagir import ops
from dagir.ir.graph import Op
from dagir.ir.types import Array
from dagir_numpy.elementwise import erf
from dagir_numpy.pointwise import Kernel, kernel, kernel_of, repeated, rule_of
from dagir_numpy.rules import rules

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


@cache
def _lowest(dtype: np.dtype[np.floating]) -> float:
    """Where e**-x is about as large as the dtype has numbers."""
    return 1 - float(np.log(np.finfo(dtype).max))


def sigmoid_into(out: Array, x: Array) -> None:
    """1 / (1 + e**-x) into out, which may be x; and e**x, which is as near, where e**-x is too large for the dtype."""
    low = _lowest(x.dtype)
    far = None
    if x.size and not x.min() >= low:
        far = x < low
        tail = np.exp(x[far])
    np.negative(x, out=out)
    np.exp(out, out=out)
    out += 1
    np.reciprocal(out, out=out)
    if far is not None:
        out[far] = tail


def _activation(*classes: type[Op]) -> Callable[[Kernel], Kernel]:
    """Decorate the kernel of an op of one operand: its rule is made of it."""

    def register(function: Kernel) -> Kernel:
        rules.rule(*classes)(rule_of(function))
        return kernel(*classes)(function)

    return register


def _made(*classes: type[Op]) -> Callable[[Callable[..., Array]], Kernel]:
    """Decorate a function of the op and x that makes a new array: the kernel and the rule are made of it."""
    return lambda function: _activation(*classes)(kernel_of(function))


@_activation(ops.Relu)
def relu(op: ops.Relu, out: Array, x: Array) -> None:
    np.maximum(repeated(0, x), x, out=out)  # in this order, -0.0 is what np.clip makes of it


@_activation(ops.Sigmoid)
def sigmoid(op: ops.Sigmoid, out: Array, x: Array) -> None:
    sigmoid_into(out, x)


@_activation(ops.Tanh)
def tanh(op: ops.Tanh, out: Array, x: Array) -> None:
    np.tanh(x, out=out)


@_activation(ops.Silu)
def silu(op: ops.Silu, out: Array, x: Array) -> None:
    share = np.empty_like(x)
    sigmoid_into(share, x)
    np.multiply(x, share, out=out)


@_activation(ops.HardSigmoid)
def hard_sigmoid(op: ops.HardSigmoid, out: Array, x: Array) -> None:
    np.divide(x, x.dtype.type(6), out=out)
    out += x.dtype.type(0.5)
    np.clip(out, x.dtype.type(0), x.dtype.type(1), out=out)


@_activation(ops.HardSilu)
def hard_silu(op: ops.HardSilu, out: Array, x: Array) -> None:
    share = np.empty_like(x)  # not a scalar, where x has no axes
    np.divide(x, x.dtype.type(6), out=share)
    share += x.dtype.type(0.5)
    np.clip(share, x.dtype.type(0), x.dtype.type(1), out=share)
    np.multiply(x, share, out=out)


@_made(ops.Softplus)
def softplus(op: ops.Softplus, x: Array) -> Array:
    return np.logaddexp(x, x.dtype.type(0))


@_made(ops.Softsign)
def softsign(op: ops.Softsign, x: Array) -> Array:
    return x / (1 + np.abs(x))


@_made(ops.Celu)
def celu(op: ops.Celu, x: Array) -> Array:
    zero = x.dtype.type(0)
    return np.maximum(x, zero) + op.alpha * np.expm1(np.minimum(x, zero) / op.alpha)


@_made(ops.HardShrink)
def hard_shrink(op: ops.HardShrink, x: Array) -> Array:
    return np.where(np.abs(x) > op.threshold, x, x.dtype.type(0))


@_made(ops.SoftShrink)
def soft_shrink(op: ops.SoftShrink, x: Array) -> Array:
    lowered = np.where(x > op.threshold, x - op.threshold, x.dtype.type(0))
    return np.where(x < -op.threshold, x + op.threshold, lowered)


@_made(ops.Elu)
def elu(op: ops.Elu, x: Array) -> Array:
    return np.where(x > 0, x, op.alpha * np.expm1(np.minimum(x, x.dtype.type(0)))).astype(x.dtype)


@_made(ops.Selu)
def selu(op: ops.Selu, x: Array) -> Array:
    negative = SELU_ALPHA * np.expm1(np.minimum(x, x.dtype.type(0)))
    return (SELU_SCALE * np.where(x > 0, x, negative)).astype(x.dtype)


@_activation(ops.LeakyRelu)
def leaky_relu(op: ops.LeakyRelu, out: Array, x: Array) -> None:
    lowered = x.dtype.type(op.negative_slope) * x
    if 0 < op.negative_slope <= 1:
        np.maximum(x, lowered, out=out)
    else:
        out[...] = np.where(x > 0, x, lowered)


@_made(ops.Gelu)
def gelu(op: ops.Gelu, x: Array) -> Array:
    if op.approximate:
        inner = sqrt(2 / pi) * (x + 0.044715 * (x * x * x))
        return x * 0.5 * (1 + np.tanh(inner))
    return x * 0.5 * (1 + erf(x / x.dtype.type(sqrt(2))))


@rules.rule(ops.Softmax)
def softmax(op: ops.Softmax, x: Array) -> Array:
    powers = np.subtract(x, x.max(axis=op.axes, keepdims=True, initial=-np.inf))
    np.exp(powers, out=powers)
    powers /= powers.sum(axis=op.axes, keepdims=True)
    return powers


@rules.rule(ops.LogSoftmax)
def log_softmax(op: ops.LogSoftmax, x: Array) -> Array:
    shifted = x - x.max(axis=op.axes, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.exp(shifted).sum(axis=op.axes, keepdims=True))


@rules.rule(ops.Sparsemax)
def sparsemax(op: ops.Sparsemax, x: Array) -> Array:
    """The support is the k largest, k the greatest with 1 + k*x_(k) > x_(1) + ... + x_(k)."""
    moved = np.moveaxis(x, op.axis, -1)
    ordered = np.sort(moved, axis=-1)[..., ::-1]
    sums = np.cumsum(ordered, axis=-1)
    places = np.arange(1, x.shape[op.axis] + 1, dtype=x.dtype)
    kept = 1 + places * ordered > sums
    count = kept.sum(axis=-1, keepdims=True)
    threshold = (np.where(kept, ordered, 0).sum(axis=-1, keepdims=True) - 1) / count
    return np.moveaxis(np.maximum(moved - threshold, 0), -1, op.axis)


@rules.rule(ops.PRelu)
def prelu(op: ops.PRelu, x: Array, slope: Array) -> Array:
    return np.where(x > 0, x, slope * x)
