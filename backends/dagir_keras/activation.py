"""Activation functions."""

from __future__ import annotations

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
    ops.Selu: K.selu,
}.items():
    rules.rule(_op)(lambda op, x, function=_function: function(x))


@rules.rule(ops.Elu)
def elu(op: ops.Elu, x: Any) -> Any:
    return K.elu(x, alpha=op.alpha)


@rules.rule(ops.LeakyRelu)
def leaky_relu(op: ops.LeakyRelu, x: Any) -> Any:
    return K.leaky_relu(x, negative_slope=op.negative_slope)


@rules.rule(ops.Gelu)
def gelu(op: ops.Gelu, x: Any) -> Any:
    return K.gelu(x, approximate=op.approximate)


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
