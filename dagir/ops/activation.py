"""Activation functions. Names, defaults and meanings are those of keras.activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dagir.graph import Op, Types, Value, apply, as_value
from dagir.ops.elementwise import Unary, require
from dagir.types import TensorType, normalize_axes


class Relu(Unary):
    """max(x, 0).  ONNX Relu-14."""

    accepts = "signed"


class Sigmoid(Unary):
    """1 / (1 + e**-x).  ONNX Sigmoid-13."""


class Tanh(Unary):
    """Hyperbolic tangent.  ONNX Tanh-13."""


class Softplus(Unary):
    """log(1 + e**x).  ONNX Softplus-1."""


class Softsign(Unary):
    """x / (1 + |x|).  ONNX Softsign-1."""


class Silu(Unary):
    """x * sigmoid(x), also called swish.  keras.activations.silu."""


class HardSigmoid(Unary):
    """clip(x/6 + 1/2, 0, 1).  keras.activations.hard_sigmoid (alpha is 1/6, not ONNX's default of 0.2)."""


class Selu(Unary):
    """scale * elu(x, alpha), alpha = 1.67326..., scale = 1.05070....  ONNX Selu-6."""


@dataclass(frozen=True)
class Elu(Unary):
    """x where positive, else alpha * (e**x - 1).  ONNX Elu-6."""

    alpha: float = 1.0


@dataclass(frozen=True)
class LeakyRelu(Unary):
    """x where positive, else negative_slope * x.  ONNX LeakyRelu-16 (its default slope is 0.01)."""

    negative_slope: float = 0.2


@dataclass(frozen=True)
class Gelu(Unary):
    """x * Phi(x), Phi the normal distribution function; by tanh where approximate.  ONNX Gelu-20."""

    approximate: bool = False


@dataclass(frozen=True)
class Softmax(Op):
    """x: f[*s] -> f[*s]; e**x over its sum along `axes`.  keras.activations.softmax; ONNX Softmax-13 for one axis."""

    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> Types:
        """The type of x."""
        require("float", x)
        normalize_axes(self.axes, x.rank)
        return (x,)


@dataclass(frozen=True)
class LogSoftmax(Softmax):
    """log(softmax(x)) along `axes`, without underflow.  ONNX LogSoftmax-13 for one axis."""


def relu(x: Any) -> Value:
    """max(x, 0)."""
    return apply(Relu(), as_value(x))


def sigmoid(x: Any) -> Value:
    """1 / (1 + e**-x)."""
    return apply(Sigmoid(), as_value(x))


def tanh(x: Any) -> Value:
    """Hyperbolic tangent."""
    return apply(Tanh(), as_value(x))


def softplus(x: Any) -> Value:
    """log(1 + e**x)."""
    return apply(Softplus(), as_value(x))


def softsign(x: Any) -> Value:
    """x / (1 + |x|)."""
    return apply(Softsign(), as_value(x))


def silu(x: Any) -> Value:
    """x * sigmoid(x)."""
    return apply(Silu(), as_value(x))


def hard_sigmoid(x: Any) -> Value:
    """clip(x/6 + 1/2, 0, 1)."""
    return apply(HardSigmoid(), as_value(x))


def selu(x: Any) -> Value:
    """Scaled exponential linear unit."""
    return apply(Selu(), as_value(x))


def elu(x: Any, alpha: float = 1.0) -> Value:
    """x where positive, else alpha * (e**x - 1)."""
    return apply(Elu(float(alpha)), as_value(x))


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Value:
    """x where positive, else negative_slope * x."""
    return apply(LeakyRelu(float(negative_slope)), as_value(x))


def gelu(x: Any, approximate: bool = True) -> Value:
    """x * Phi(x); keras.ops.gelu is the tanh form by default, keras.activations.gelu the exact one."""
    return apply(Gelu(bool(approximate)), as_value(x))


def softmax(x: Any, axis: int | tuple[int, ...] = -1) -> Value:
    """e**x over its sum along the axis or axes."""
    value = as_value(x)
    return apply(Softmax(normalize_axes(axis, value.ndim)), value)


def log_softmax(x: Any, axis: int | tuple[int, ...] = -1) -> Value:
    """log(softmax(x))."""
    value = as_value(x)
    return apply(LogSoftmax(normalize_axes(axis, value.ndim)), value)
