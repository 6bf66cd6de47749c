"""Activations: tf.nn, and those of keras.activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.graph import Value
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import Tensor, integer, like, number, tensor, value


def _of_one(in_graph: Callable[[Value], Value]) -> Callable[[Any], Tensor]:
    return lambda x: in_graph(value(tensor(x)))


def _relu(x: Value) -> Value:
    return ops.relu(x) if x.dtype.is_float else ops.maximum(x, like(0, x))


def relu6(x: Value) -> Value:
    return ops.minimum(_relu(x), like(6, x))


for _op, _in_graph, _names in (
    ("Relu", _relu, ("nn.relu",)),
    ("Relu6", relu6, ("nn.relu6",)),
    ("Elu", ops.elu, ("nn.elu",)),
    ("Selu", ops.selu, ("nn.selu", "keras.activations.selu")),
    (
        "Softplus",
        ops.softplus,
        ("math.softplus", "nn.softplus", "keras.backend.softplus", "keras.activations.softplus"),
    ),
    ("Softsign", ops.softsign, ("nn.softsign", "keras.backend.softsign", "keras.activations.softsign")),
    ("Sigmoid", ops.sigmoid, ("math.sigmoid", "nn.sigmoid", "keras.backend.sigmoid", "keras.activations.sigmoid")),
    ("Tanh", ops.tanh, ("math.tanh", "nn.tanh", "keras.backend.tanh", "keras.activations.tanh")),
):
    raw(_op)(function(*_names)(_of_one(_in_graph)))


@raw("LeakyRelu")
def leaky_relu(features: Tensor, alpha: float = 0.2) -> Tensor:
    return ops.leaky_relu(value(features), float(alpha))


@function("nn.leaky_relu")
def _leaky_relu(features: Any, alpha: Any = 0.2) -> Tensor:
    given = value(tensor(features))
    if not given.dtype.is_float:
        raise Refused(f"it takes floats, got {given.dtype}")
    return leaky_relu(given, number(alpha, "alpha"))


@function("nn.silu", "nn.swish", "keras.activations.swish")
def silu(features: Any, beta: Any = 1.0) -> Tensor:
    x = value(tensor(features))
    if isinstance(beta, (int, float)) and beta == 1:
        return ops.silu(x)
    return ops.multiply(x, ops.sigmoid(ops.multiply(like(beta, x), x)))


@function("nn.gelu", "keras.activations.gelu")
def gelu(features: Any, approximate: bool = False) -> Tensor:
    return ops.gelu(value(tensor(features)), bool(approximate))


@function("keras.activations.mish")
def _mish(x: Any) -> Tensor:
    given = value(tensor(x))
    return ops.multiply(given, ops.tanh(ops.softplus(given)))


@function("nn.crelu", "compat.v1.nn.crelu")
def _crelu(features: Any, axis: Any = -1) -> Tensor:
    x = value(tensor(features))
    return ops.relu(ops.concatenate([x, ops.negative(x)], integer(axis, "axis")))


@function("compat.v1.nn.relu_layer")
def _relu_layer(x: Any, weights: Any, biases: Any) -> Tensor:
    given = value(tensor(x))
    return ops.relu(ops.add(ops.matmul(given, like(weights, given)), like(biases, given)))


@raw("Softmax")
def _softmax_raw(logits: Tensor) -> Tensor:
    return ops.softmax(value(logits))


@raw("LogSoftmax")
def _log_softmax_raw(logits: Tensor) -> Tensor:
    return ops.log_softmax(value(logits))


@function("nn.softmax", "compat.v1.nn.softmax", "keras.activations.softmax")
def softmax(logits: Any, axis: Any = None, dim: Any = None) -> Tensor:
    return ops.softmax(value(tensor(logits)), _last(axis, dim))


@function("keras.backend.softmax")
def _softmax_of_keras(x: Any, axis: Any = -1) -> Tensor:
    return softmax(x, axis)


@function("nn.log_softmax", "compat.v1.nn.log_softmax")
def log_softmax(logits: Any, axis: Any = None, dim: Any = None) -> Tensor:
    return ops.log_softmax(value(tensor(logits)), _last(axis, dim))


def _last(axis: Any, dim: Any) -> int:
    given = axis if axis is not None else dim
    return -1 if given is None else integer(given, "axis")


@function("keras.activations.hard_sigmoid", "keras.backend.hard_sigmoid")
def _hard_sigmoid(x: Any) -> Tensor:
    """0.2 x + 0.5 between 0 and 1, as Keras 2 has it."""
    given = value(tensor(x))
    scaled = ops.add(ops.multiply(given, float(np.float32(0.2))), 0.5)
    return ops.clip(scaled, 0.0, 1.0)


@function("keras.activations.linear")
def _linear(x: Any) -> Tensor:
    return tensor(x)


@function("keras.activations.elu", "keras.backend.elu")
def _elu(x: Any, alpha: Any = 1.0) -> Tensor:
    return ops.elu(value(tensor(x)), number(alpha, "alpha"))


@function("keras.activations.relu", "keras.backend.relu")
def _relu_of_keras(x: Any, alpha: Any = 0.0, max_value: Any = None, threshold: Any = 0.0) -> Tensor:
    """x from the threshold on, at most max_value; below the threshold alpha * (x - threshold)."""
    given = value(tensor(x))
    slope, start = number(alpha, "alpha"), number(threshold, "threshold")
    above = ops.relu(given) if not start else ops.where(ops.greater(given, start), given, like(0.0, given))
    if max_value is not None:
        above = ops.clip(above, 0.0, number(max_value, "max_value"))
    if not slope:
        return above
    below = ops.relu(ops.subtract(like(start, given), given))
    return ops.subtract(above, ops.multiply(below, slope))
