"""Activation functions, written so that no intermediate overflows where the result does not."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir_numpy.elementwise import erf
from dagir_numpy.rules import rules

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def sigmoid(x: Array) -> Array:
    """1 / (1 + e**-x), by whichever form has the small exponent."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


@rules.rule(ops.Relu)
def relu(op: ops.Relu, x: Array) -> Array:
    return np.maximum(x, x.dtype.type(0))


@rules.rule(ops.Sigmoid)
def sigmoid_rule(op: ops.Sigmoid, x: Array) -> Array:
    return sigmoid(x)


@rules.rule(ops.Tanh)
def tanh(op: ops.Tanh, x: Array) -> Array:
    return np.tanh(x)


@rules.rule(ops.Softplus)
def softplus(op: ops.Softplus, x: Array) -> Array:
    return np.logaddexp(x, x.dtype.type(0))


@rules.rule(ops.Softsign)
def softsign(op: ops.Softsign, x: Array) -> Array:
    return x / (1 + np.abs(x))


@rules.rule(ops.Silu)
def silu(op: ops.Silu, x: Array) -> Array:
    return x * sigmoid(x)


@rules.rule(ops.HardSigmoid)
def hard_sigmoid(op: ops.HardSigmoid, x: Array) -> Array:
    return np.clip(x / 6 + x.dtype.type(0.5), x.dtype.type(0), x.dtype.type(1))


@rules.rule(ops.HardSilu)
def hard_silu(op: ops.HardSilu, x: Array) -> Array:
    return x * np.clip(x / 6 + x.dtype.type(0.5), x.dtype.type(0), x.dtype.type(1))


@rules.rule(ops.Celu)
def celu(op: ops.Celu, x: Array) -> Array:
    zero = x.dtype.type(0)
    return np.maximum(x, zero) + op.alpha * np.expm1(np.minimum(x, zero) / op.alpha)


@rules.rule(ops.HardShrink)
def hard_shrink(op: ops.HardShrink, x: Array) -> Array:
    return np.where(np.abs(x) > op.threshold, x, x.dtype.type(0))


@rules.rule(ops.SoftShrink)
def soft_shrink(op: ops.SoftShrink, x: Array) -> Array:
    lowered = np.where(x > op.threshold, x - op.threshold, x.dtype.type(0))
    return np.where(x < -op.threshold, x + op.threshold, lowered)


@rules.rule(ops.Elu)
def elu(op: ops.Elu, x: Array) -> Array:
    return np.where(x > 0, x, op.alpha * np.expm1(np.minimum(x, x.dtype.type(0)))).astype(x.dtype)


@rules.rule(ops.Selu)
def selu(op: ops.Selu, x: Array) -> Array:
    negative = SELU_ALPHA * np.expm1(np.minimum(x, x.dtype.type(0)))
    return (SELU_SCALE * np.where(x > 0, x, negative)).astype(x.dtype)


@rules.rule(ops.LeakyRelu)
def leaky_relu(op: ops.LeakyRelu, x: Array) -> Array:
    return np.where(x > 0, x, x.dtype.type(op.negative_slope) * x)


@rules.rule(ops.Gelu)
def gelu(op: ops.Gelu, x: Array) -> Array:
    if op.approximate:
        inner = sqrt(2 / pi) * (x + 0.044715 * x**3)
        return (x * 0.5 * (1 + np.tanh(inner))).astype(x.dtype)
    return (x * 0.5 * (1 + erf(x / x.dtype.type(sqrt(2))))).astype(x.dtype)


@rules.rule(ops.Softmax)
def softmax(op: ops.Softmax, x: Array) -> Array:
    powers = np.exp(x - x.max(axis=op.axes, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=op.axes, keepdims=True)


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
