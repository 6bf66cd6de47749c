"""Trigonometric and hyperbolic functions and their inverses, and what is computed from them."""

from __future__ import annotations

from math import inf, pi

from dagir.ir.graph import Operand, Value
from dagir.ir.operands import as_value
from dagir.ir.rounding import ROUNDED
from dagir.ops.arithmetic import divide, maximum, minimum, multiply
from dagir.ops.elementwise import absolute, sqrt, square
from dagir.ops.logic import equal, logical_or, where
from dagir.ops.operands import Binary, Unary, binary, unary

__all__ = [
    "Arccos",
    "Arccosh",
    "Arcsin",
    "Arcsinh",
    "Arctan",
    "Arctan2",
    "Arctanh",
    "Cos",
    "Cosh",
    "Sin",
    "Sinh",
    "Tan",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "cos",
    "cosh",
    "deg2rad",
    "hypot",
    "rad2deg",
    "sin",
    "sinc",
    "sinh",
    "tan",
]


class Sin(Unary):
    """Sine of radians.  ONNX Sin-7."""

    rounding = ROUNDED


class Cos(Unary):
    """Cosine of radians.  ONNX Cos-7."""

    rounding = ROUNDED


class Tan(Unary):
    """Tangent of radians.  ONNX Tan-7."""

    rounding = ROUNDED


class Arcsin(Unary):
    """The angle in [-pi/2, pi/2] whose sine is x, for |x| <= 1.  ONNX Asin-7."""

    rounding = ROUNDED


class Arccos(Unary):
    """The angle in [0, pi] whose cosine is x, for |x| <= 1.  ONNX Acos-7."""

    rounding = ROUNDED
    nonnegative = True


class Arctan(Unary):
    """The angle in (-pi/2, pi/2) whose tangent is x.  ONNX Atan-7."""

    rounding = ROUNDED


class Sinh(Unary):
    """(e**x - e**-x) / 2.  ONNX Sinh-9."""

    rounding = ROUNDED


class Cosh(Unary):
    """(e**x + e**-x) / 2.  ONNX Cosh-9."""

    rounding = ROUNDED
    nonnegative = True


class Arcsinh(Unary):
    """log(x + sqrt(x*x + 1)).  ONNX Asinh-9."""

    rounding = ROUNDED


class Arccosh(Unary):
    """log(x + sqrt(x*x - 1)), for x >= 1.  ONNX Acosh-9."""

    rounding = ROUNDED


class Arctanh(Unary):
    """log((1 + x) / (1 - x)) / 2, for |x| <= 1.  ONNX Atanh-9."""

    rounding = ROUNDED


class Arctan2(Binary):
    """The angle in [-pi, pi] of the point (x2, x1); signed zeros count.  NumPy arctan2."""

    rounding = ROUNDED
    accepts = "float"


def sin(x: Operand) -> Value:
    """Sine, elementwise.

    >>> show(ops.sin([0.0, np.pi / 2]))
    [0.0, 1.0]
    """
    return unary(Sin(), x)


def cos(x: Operand) -> Value:
    """Cosine, elementwise.

    >>> show(ops.cos([0.0, np.pi]))
    [1.0, -1.0]
    """
    return unary(Cos(), x)


def tan(x: Operand) -> Value:
    """Tangent, elementwise.

    >>> show(ops.tan([0.0, np.pi / 4]))
    [0.0, 1.0]
    """
    return unary(Tan(), x)


def arcsin(x: Operand) -> Value:
    """The angle in [-pi/2, pi/2] whose sine is x; NaN where |x| > 1.

    >>> show(ops.arcsin([0.0, 1.0]))
    [0.0, 1.5708]
    """
    return unary(Arcsin(), x)


def arccos(x: Operand) -> Value:
    """The angle in [0, pi] whose cosine is x; NaN where |x| > 1.

    >>> show(ops.arccos([1.0, 0.0]))
    [0.0, 1.5708]
    """
    return unary(Arccos(), x)


def arctan(x: Operand) -> Value:
    """The angle in (-pi/2, pi/2) whose tangent is x.

    >>> show(ops.arctan([0.0, 1.0]))
    [0.0, 0.7854]
    """
    return unary(Arctan(), x)


def sinh(x: Operand) -> Value:
    """Hyperbolic sine.

    >>> show(ops.sinh([0.0, 1.0]))
    [0.0, 1.1752]
    """
    return unary(Sinh(), x)


def cosh(x: Operand) -> Value:
    """Hyperbolic cosine.

    >>> show(ops.cosh([0.0, 1.0]))
    [1.0, 1.5431]
    """
    return unary(Cosh(), x)


def arcsinh(x: Operand) -> Value:
    """Inverse hyperbolic sine.

    >>> show(ops.arcsinh([0.0, 1.0]))
    [0.0, 0.8814]
    """
    return unary(Arcsinh(), x)


def arccosh(x: Operand) -> Value:
    """Inverse hyperbolic cosine; NaN where x < 1.

    >>> show(ops.arccosh([1.0, 2.0]))
    [0.0, 1.317]
    """
    return unary(Arccosh(), x)


def arctanh(x: Operand) -> Value:
    """Inverse hyperbolic tangent; NaN where |x| > 1.

    >>> show(ops.arctanh([0.0, 0.5]))
    [0.0, 0.5493]
    """
    return unary(Arctanh(), x)


def arctan2(x1: Operand, x2: Operand) -> Value:
    """The angle of the point (x2, x1), broadcast.

    >>> show(ops.arctan2([1.0], [-1.0]))
    [2.3562]
    """
    return binary(Arctan2(), x1, x2)


def deg2rad(x: Operand) -> Value:
    """Degrees as radians.

    >>> show(ops.deg2rad([180.0]))
    [3.1416]
    """
    return multiply(x, pi / 180)


def rad2deg(x: Operand) -> Value:
    """Radians as degrees.

    >>> show(ops.rad2deg([np.pi]))
    [180.0]
    """
    return multiply(x, 180 / pi)


def hypot(x1: Operand, x2: Operand) -> Value:
    """sqrt(x1*x1 + x2*x2) without overflow of the squares; broadcast.

    >>> show(ops.hypot([3.0], [4.0]))
    [5.0]
    """
    first, second = absolute(x1), absolute(x2)
    large = maximum(first, second)
    scale = where(logical_or(equal(large, 0.0), equal(large, inf)), 1.0, large)
    ratio = divide(minimum(first, second), scale)
    return multiply(large, sqrt(1.0 + square(ratio)))


def sinc(x: Operand) -> Value:
    """sin(pi*x) / (pi*x), and 1 at 0.

    >>> show(ops.sinc([0.0, 0.5]))
    [1.0, 0.6366]
    """
    value = as_value(x)
    is_zero = equal(value, 0.0)
    angle = multiply(where(is_zero, 1.0, value), pi)
    return where(is_zero, 1.0, divide(sin(angle), angle))
