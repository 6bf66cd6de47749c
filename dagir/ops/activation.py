"""Activation functions. Names, defaults and meanings are those of keras.activations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.first_order import selected, smooth
from dagir.ir.graph import Op, Operand, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import ROUNDED, Rounding
from dagir.ir.types import Equations, Inferred, TensorType
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
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "leaky_relu",
    "prelu",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softplus",
    "softsign",
    "swish",
    "tanh",
]

_GATED = Rounding(within=0.5, absolute=lambda x: 0.25 * np.abs(x), first_order=smooth)
"""Small results are what is left of numbers of the size of x: (1 + erf x) x / 2. Elsewhere of 1: e^x - 1."""


class Relu(Unary):
    """max(x, 0).  ONNX Relu-14."""

    rounding = Rounding(exact=True, first_order=selected)
    nonnegative = True
    accepts = "signed"


class Sigmoid(Unary):
    """1 / (1 + e**-x).  ONNX Sigmoid-13."""

    rounding = Rounding(within=0.5, absolute=lambda x: 0.25, first_order=smooth)
    nonnegative = True


class Tanh(Unary):
    """Hyperbolic tangent.  ONNX Tanh-13."""

    rounding = Rounding(within=0.5, first_order=smooth)


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
    """x moved towards 0 by threshold; 0 where |x| <= threshold. keras.activations.soft_shrink; ONNX Shrink-9."""

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


def relu(x: Operand) -> Value:
    """max(x, 0).

    >>> show(ops.relu([-1.0, 2.0]))
    [0.0, 2.0]
    """
    return apply(Relu(), as_value(x))


def sigmoid(x: Operand) -> Value:
    """1 / (1 + e**-x).

    >>> show(ops.sigmoid([-1.0, 0.0, 1.0]))
    [0.2689, 0.5, 0.7311]
    """
    return apply(Sigmoid(), as_value(x))


def tanh(x: Operand) -> Value:
    """Hyperbolic tangent.

    >>> show(ops.tanh([-1.0, 0.0, 1.0]))
    [-0.7616, 0.0, 0.7616]
    """
    return apply(Tanh(), as_value(x))


def softplus(x: Operand) -> Value:
    """log(1 + e**x).

    >>> show(ops.softplus([-100.0, 0.0, 100.0]))
    [0.0, 0.6931, 100.0]
    """
    return apply(Softplus(), as_value(x))


def softsign(x: Operand) -> Value:
    """x / (1 + |x|).

    >>> show(ops.softsign([-1.0, 3.0]))
    [-0.5, 0.75]
    """
    return apply(Softsign(), as_value(x))


def silu(x: Operand) -> Value:
    """x * sigmoid(x).

    >>> show(ops.silu([-1.0, 1.0]))
    [-0.2689, 0.7311]
    """
    return apply(Silu(), as_value(x))


def hard_sigmoid(x: Operand) -> Value:
    """clip(x/6 + 1/2, 0, 1).

    >>> show(ops.hard_sigmoid([-4.0, 0.0, 1.5]))
    [0.0, 0.5, 0.75]
    """
    return apply(HardSigmoid(), as_value(x))


def hard_silu(x: Operand) -> Value:
    """x * hard_sigmoid(x), also called hard swish.

    >>> show(ops.hard_silu([-4.0, 0.0, 1.5]))
    [0.0, 0.0, 1.125]
    """
    return apply(HardSilu(), as_value(x))


swish = silu
hard_swish = hard_silu


def celu(x: Operand, alpha: float = 1.0) -> Value:
    """max(x, 0) + alpha * (e**(min(x, 0)/alpha) - 1).

    >>> show(ops.celu([-1.0, 2.0]))
    [-0.6321, 2.0]
    """
    return apply(Celu(float(alpha)), as_value(x))


def hard_shrink(x: Operand, threshold: float = 0.5) -> Value:
    """x where |x| > threshold, else 0.

    >>> show(ops.hard_shrink([-0.4, 2.0]))
    [0.0, 2.0]
    """
    return apply(HardShrink(float(threshold)), as_value(x))


def soft_shrink(x: Operand, threshold: float = 0.5) -> Value:
    """x moved towards 0 by threshold; 0 where |x| <= threshold.

    >>> show(ops.soft_shrink([-0.4, 2.0]))
    [0.0, 1.5]
    """
    return apply(SoftShrink(float(threshold)), as_value(x))


def selu(x: Operand) -> Value:
    """Scaled exponential linear unit.

    >>> show(ops.selu([-1.0, 1.0]))
    [-1.1113, 1.0507]
    """
    return apply(Selu(), as_value(x))


def elu(x: Operand, alpha: float = 1.0) -> Value:
    """x where positive, else alpha * (e**x - 1).

    >>> show(ops.elu([-1.0, 2.0]))
    [-0.6321, 2.0]
    """
    return apply(Elu(float(alpha)), as_value(x))


def leaky_relu(x: Operand, negative_slope: float = 0.2) -> Value:
    """x where positive, else negative_slope * x.

    >>> show(ops.leaky_relu([-1.0, 2.0]))
    [-0.2, 2.0]
    """
    return apply(LeakyRelu(float(negative_slope)), as_value(x))


def gelu(x: Operand, approximate: bool = True) -> Value:
    """x * Phi(x); keras.ops.gelu is the tanh form by default, keras.activations.gelu the exact one.

    approximate: the tanh form; False the exact one.

    >>> show(ops.gelu([-1.0, 2.0]))
    [-0.1588, 1.9546]
    """
    return apply(Gelu(bool(approximate)), as_value(x))


def prelu(x: Operand, slope: Operand) -> Value:
    """x where positive, else slope * x. slope: an array that broadcasts to x.

    >>> show(ops.prelu([[-1.0, -1.0]], [0.1, 0.5]))
    [[-0.1, -0.5]]
    """
    value = as_value(x)
    return apply(PRelu(), value, as_value(slope, like=value))
