"""Activation functions."""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules

for _op, _function in {
    ops.Relu: K.relu,
    ops.Sigmoid: K.sigmoid,
    ops.Tanh: K.tanh,
    ops.Softplus: K.softplus,
    ops.Softsign: K.softsign,
    ops.Silu: K.silu,
    ops.HardSigmoid: K.hard_sigmoid,
    ops.HardSilu: K.hard_silu,
    ops.Selu: K.selu,
}.items():
    rules.rule(_op)(lambda op, x, function=_function: function(x))


@rules.rule(ops.Elu)
def elu(op: ops.Elu, x: Any) -> Any:
    return K.elu(x, alpha=op.alpha)


@rules.rule(ops.Celu)
def celu(op: ops.Celu, x: Any) -> Any:
    return K.celu(x, alpha=op.alpha)


@rules.rule(ops.HardShrink)
def hard_shrink(op: ops.HardShrink, x: Any) -> Any:
    return K.hard_shrink(x, threshold=op.threshold)


@rules.rule(ops.SoftShrink)
def soft_shrink(op: ops.SoftShrink, x: Any) -> Any:
    return K.soft_shrink(x, threshold=op.threshold)


@rules.rule(ops.Sparsemax)
def sparsemax(op: ops.Sparsemax, x: Any) -> Any:
    """Not K.sparsemax: its probabilities do not add up to 1, since it sums cumulative sums (Keras 3.15)."""
    ordered = K.flip(K.sort(x, axis=op.axis), axis=op.axis)
    places = K.cumsum(K.ones_like(x), axis=op.axis)
    kept = 1 + places * ordered > K.cumsum(ordered, axis=op.axis)
    count = K.sum(K.cast(kept, x.dtype), axis=op.axis, keepdims=True)
    total = K.sum(K.where(kept, ordered, K.zeros_like(ordered)), axis=op.axis, keepdims=True)
    return K.relu(x - (total - 1) / count)


@rules.rule(ops.LeakyRelu)
def leaky_relu(op: ops.LeakyRelu, x: Any) -> Any:
    if x.dtype == "float64":  # TensorFlow's slope is float32
        return K.where(x > 0, x, op.negative_slope * x)
    return K.leaky_relu(x, negative_slope=op.negative_slope)


@rules.rule(ops.Gelu)
def gelu(op: ops.Gelu, x: Any) -> Any:
    if x.dtype != "float64":  # TensorFlow's constants are float32
        return K.gelu(x, approximate=op.approximate)
    bell = K.tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x)) if op.approximate else K.erf(sqrt(0.5) * x)
    return 0.5 * x * (1 + bell)


@rules.rule(ops.Softmax)
def softmax(op: ops.Softmax, x: Any) -> Any:
    if len(op.axes) == 1 and x.shape[op.axes[0]] != 1:  # Keras warns of an axis of size 1
        return K.softmax(x, axis=op.axes[0])
    powers = K.exp(x - K.max(x, axis=op.axes, keepdims=True))
    return powers / K.sum(powers, axis=op.axes, keepdims=True)


@rules.rule(ops.LogSoftmax)
def log_softmax(op: ops.LogSoftmax, x: Any) -> Any:
    if len(op.axes) == 1:
        return K.log_softmax(x, axis=op.axes[0])
    shifted = x - K.max(x, axis=op.axes, keepdims=True)
    return shifted - K.log(K.sum(K.exp(shifted), axis=op.axes, keepdims=True))


@rules.rule(ops.PRelu)
def prelu(op: ops.PRelu, x: Any, slope: Any) -> Any:
    return K.where(K.greater(x, 0), x, K.multiply(slope, x))
