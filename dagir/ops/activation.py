"""Activation functions. Names, defaults and meanings are those of keras.activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.graph import Op, Value, apply, as_value
from dagir.ir.rounding import APPROXIMATED, EXACT, ROUNDED, Rounding
from dagir.ir.types import Equations, Inferred, TensorType, normalize_axis
from dagir.ops.arithmetic import add, divide, multiply, subtract
from dagir.ops.creation import zeros_like
from dagir.ops.elementwise import clip, negative, sqrt, square
from dagir.ops.logic import greater, less, less_equal, where
from dagir.ops.operands import Unary, require, same_dtype

__all__ = [
    "Celu",
    "Elu",
    "Gelu",
    "HardShrink",
    "HardSigmoid",
    "HardSilu",
    "LeakyRelu",
    "PRelu",
    "Relu",
    "Selu",
    "Sigmoid",
    "Silu",
    "SoftShrink",
    "Softplus",
    "Softsign",
    "Tanh",
    "celu",
    "elu",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]

_GATED = Rounding(within=0.5, absolute=lambda x: 0.25 * np.abs(x))
"""Small results are what is left of numbers of the size of x: (1 + erf x) x / 2. Elsewhere of 1: e^x - 1."""


class Relu(Unary):
    """max(x, 0).  ONNX Relu-14."""

    rounding = EXACT
    nonnegative = True
    accepts = "signed"


class Sigmoid(Unary):
    """1 / (1 + e**-x).  ONNX Sigmoid-13."""

    rounding = Rounding(within=0.5, absolute=lambda x: 0.25)
    nonnegative = True


class Tanh(Unary):
    """Hyperbolic tangent.  ONNX Tanh-13."""

    rounding = APPROXIMATED


class Softplus(Unary):
    """log(1 + e**x).  ONNX Softplus-1."""

    rounding = Rounding(within=0.5, absolute=lambda x: 0.25)
    nonnegative = True


class Softsign(Unary):
    """x / (1 + |x|).  ONNX Softsign-1."""

    rounding = ROUNDED


class Silu(Unary):
    """x * sigmoid(x), also called swish.  keras.activations.silu."""

    rounding = _GATED


class HardSigmoid(Unary):
    """clip(x/6 + 1/2, 0, 1).  keras.activations.hard_sigmoid (alpha is 1/6, not ONNX's default of 0.2)."""

    rounding = ROUNDED
    nonnegative = True


class HardSilu(Unary):
    """x * hard_sigmoid(x), also called hard swish.  keras.activations.hard_silu; ONNX HardSwish-14."""

    rounding = ROUNDED


class Selu(Unary):
    """scale * elu(x, alpha), alpha = 1.67326..., scale = 1.05070....  ONNX Selu-6."""

    rounding = Rounding(absolute=lambda x: 0.5)


@dataclass(frozen=True)
class Elu(Unary):
    """x where positive, else alpha * (e**x - 1).  ONNX Elu-6."""

    rounding = Rounding(within=0.5, absolute=lambda x: 0.25)
    alpha: float = 1.0


@dataclass(frozen=True)
class LeakyRelu(Unary):
    """x where positive, else negative_slope * x.  ONNX LeakyRelu-16 (its default slope is 0.01)."""

    rounding = ROUNDED
    negative_slope: float = 0.2


@dataclass(frozen=True)
class Celu(Unary):
    """max(x, 0) + alpha * (e**(min(x, 0)/alpha) - 1): an elu with a smooth gradient.  ONNX Celu-12."""

    rounding = Rounding(absolute=lambda x: 0.25)
    alpha: float = 1.0

    def __post_init__(self) -> None:
        if not self.alpha:
            raise ArgumentError("celu divides by alpha, which must not be 0")


@dataclass(frozen=True)
class HardShrink(Unary):
    """x where |x| > threshold, else 0.  keras.activations.hard_shrink; ONNX Shrink-9."""

    rounding = ROUNDED
    threshold: float = 0.5


@dataclass(frozen=True)
class SoftShrink(Unary):
    """x brought nearer to 0 by threshold; 0 where |x| <= threshold.  keras.activations.soft_shrink; ONNX Shrink-9."""

    rounding = ROUNDED
    threshold: float = 0.5


@dataclass(frozen=True)
class Gelu(Unary):
    """x * Phi(x), Phi the normal distribution function; by tanh where approximate.  ONNX Gelu-20."""

    rounding = _GATED
    approximate: bool = False


class PRelu(Op):
    """x: f[*s], slope: f[...] -> f[*s]; x where positive, else slope * x; slope broadcasts to x.  ONNX PRelu-16."""

    rounding = ROUNDED
    elementwise = True
    operands = ("x", "slope")

    def infer(self, x: TensorType, slope: TensorType) -> Inferred:
        """The type of x."""
        equations = Equations()
        same_dtype(x, slope)
        require("float", x)
        if slope.rank > x.rank or equations.broadcast(x.shape, slope.shape) != x.shape:
            raise ShapeError("the slope does not broadcast to x", marks={1: list(range(slope.rank))})
        return equations.inferred(x)


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


def hard_silu(x: Any) -> Value:
    """x * hard_sigmoid(x), also called hard swish."""
    return apply(HardSilu(), as_value(x))


swish = silu
hard_swish = hard_silu


def relu6(x: Any) -> Value:
    """x held within [0, 6]."""
    return clip(x, 0.0, 6.0)


def hard_tanh(x: Any) -> Value:
    """x held within [-1, 1]."""
    return clip(x, -1.0, 1.0)


def tanh_shrink(x: Any) -> Value:
    """x - tanh(x)."""
    value = as_value(x)
    return subtract(value, tanh(value))


def log_sigmoid(x: Any) -> Value:
    """log(sigmoid(x)), without underflow: -softplus(-x)."""
    return negative(softplus(negative(x)))


def squareplus(x: Any, b: float = 4) -> Value:
    """(x + sqrt(x*x + b)) / 2."""
    value = as_value(x)
    return divide(add(value, sqrt(add(square(value), float(b)))), 2.0)


def sparse_plus(x: Any) -> Value:
    """0 up to -1, x from 1 on, (x + 1)**2 / 4 between."""
    value = as_value(x)
    middle = multiply(square(add(value, 1.0)), 0.25)
    return where(less_equal(value, -1.0), zeros_like(value), where(less(value, 1.0), middle, value))


def sparse_sigmoid(x: Any) -> Value:
    """0 up to -1, 1 from 1 on, (x + 1) / 2 between."""
    return clip(multiply(add(x, 1.0), 0.5), 0.0, 1.0)


def threshold(x: Any, threshold: float, default_value: float) -> Value:
    """x where it is above the threshold, else default_value."""
    value = as_value(x)
    return where(greater(value, threshold), value, default_value)


def glu(x: Any, axis: int = -1) -> Value:
    """The first half of x along the axis, times the sigmoid of the second half. Raises ShapeError for an odd size."""
    value = as_value(x)
    place = normalize_axis(axis, value.ndim)
    size = value.type.shape[place]
    if not isinstance(size, int) or size % 2:
        raise ShapeError(
            f"glu halves an axis of known, even size; axis {place} of {value.type} has {size}",
            remedy="give it an even number of channels, or split on another axis",
        )
    lead = (slice(None),) * place
    return multiply(value[(*lead, slice(0, size // 2))], sigmoid(value[(*lead, slice(size // 2, None))]))


def celu(x: Any, alpha: float = 1.0) -> Value:
    """max(x, 0) + alpha * (e**(min(x, 0)/alpha) - 1)."""
    return apply(Celu(float(alpha)), as_value(x))


def hard_shrink(x: Any, threshold: float = 0.5) -> Value:
    """x where |x| > threshold, else 0."""
    return apply(HardShrink(float(threshold)), as_value(x))


def soft_shrink(x: Any, threshold: float = 0.5) -> Value:
    """x brought nearer to 0 by threshold; 0 where |x| <= threshold."""
    return apply(SoftShrink(float(threshold)), as_value(x))


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


def prelu(x: Any, slope: Any) -> Value:
    """x where positive, else slope * x, the slope an array that broadcasts to x."""
    value = as_value(x)
    return apply(PRelu(), value, as_value(slope, like=value))
