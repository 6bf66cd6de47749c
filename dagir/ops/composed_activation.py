"""Activations without an op of their own: composed of others."""

from __future__ import annotations

from dagir.errors import ShapeError
from dagir.ir.graph import Operand, Value
from dagir.ir.operands import as_value
from dagir.ir.types import normalize_axis
from dagir.ops.activation import sigmoid, softplus, tanh
from dagir.ops.arithmetic import add, divide, multiply, subtract
from dagir.ops.creation import zeros_like
from dagir.ops.elementwise import negative, sqrt, square
from dagir.ops.logic import greater, less, less_equal, where
from dagir.ops.numerics import clip

__all__ = [
    "glu",
    "hard_tanh",
    "log_sigmoid",
    "relu6",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "tanh_shrink",
    "threshold",
]


def relu6(x: Operand) -> Value:
    """x held within [0, 6].

    >>> show(ops.relu6([-1.0, 2.0, 8.0]))
    [0.0, 2.0, 6.0]
    """
    return clip(x, 0.0, 6.0)


def hard_tanh(x: Operand) -> Value:
    """x held within [-1, 1].

    >>> show(ops.hard_tanh([-2.0, 0.5]))
    [-1.0, 0.5]
    """
    return clip(x, -1.0, 1.0)


def tanh_shrink(x: Operand) -> Value:
    """x - tanh(x).

    >>> show(ops.tanh_shrink([-1.0, 0.0]))
    [-0.2384, 0.0]
    """
    value = as_value(x)
    return subtract(value, tanh(value))


def log_sigmoid(x: Operand) -> Value:
    """log(sigmoid(x)), without underflow: -softplus(-x).

    >>> show(ops.log_sigmoid([-100.0, 0.0]))
    [-100.0, -0.6931]
    """
    return negative(softplus(negative(x)))


def squareplus(x: Operand, b: float = 4) -> Value:
    """(x + sqrt(x*x + b)) / 2.

    >>> show(ops.squareplus([-1.5, 0.0]))
    [0.5, 1.0]
    """
    value = as_value(x)
    return divide(add(value, sqrt(add(square(value), float(b)))), 2.0)


def sparse_plus(x: Operand) -> Value:
    """0 up to -1, x from 1 on, (x + 1)**2 / 4 between.

    >>> show(ops.sparse_plus([-2.0, 0.0, 2.0]))
    [0.0, 0.25, 2.0]
    """
    value = as_value(x)
    middle = multiply(square(add(value, 1.0)), 0.25)
    return where(less_equal(value, -1.0), zeros_like(value), where(less(value, 1.0), middle, value))


def sparse_sigmoid(x: Operand) -> Value:
    """0 up to -1, 1 from 1 on, (x + 1) / 2 between.

    >>> show(ops.sparse_sigmoid([-2.0, 0.0, 2.0]))
    [0.0, 0.5, 1.0]
    """
    return clip(multiply(add(x, 1.0), 0.5), 0.0, 1.0)


def threshold(x: Operand, threshold: float, default_value: float) -> Value:
    """x where it is above the threshold, else default_value.

    >>> show(ops.threshold([-1.0, 0.5, 2.0], 1.0, 0.0))
    [0.0, 0.0, 2.0]
    """
    value = as_value(x)
    return where(greater(value, threshold), value, default_value)


def glu(x: Operand, axis: int = -1) -> Value:
    """The first half of x along the axis, times the sigmoid of the second half. Raises ShapeError for an odd size.

    >>> show(ops.glu([1.0, 2.0, 0.0, 0.0]))
    [0.5, 1.0]
    """
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
