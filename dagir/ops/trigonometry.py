"""Trigonometric and hyperbolic functions and their inverses, and what is computed from them."""

from __future__ import annotations

from math import inf, pi
from typing import Any

from dagir.ir.graph import Value, as_value
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
    """The angle in [-pi, pi] of the point (x2, x1), signed zeros minded.  NumPy arctan2."""

    rounding = ROUNDED
    accepts = "float"


def sin(x: Any) -> Value:
    """Sine, elementwise."""
    return unary(Sin(), x)


def cos(x: Any) -> Value:
    """Cosine, elementwise."""
    return unary(Cos(), x)


def tan(x: Any) -> Value:
    """Tangent, elementwise."""
    return unary(Tan(), x)


def arcsin(x: Any) -> Value:
    """The angle in [-pi/2, pi/2] whose sine is x; NaN where |x| > 1."""
    return unary(Arcsin(), x)


def arccos(x: Any) -> Value:
    """The angle in [0, pi] whose cosine is x; NaN where |x| > 1."""
    return unary(Arccos(), x)


def arctan(x: Any) -> Value:
    """The angle in (-pi/2, pi/2) whose tangent is x."""
    return unary(Arctan(), x)


def sinh(x: Any) -> Value:
    """Hyperbolic sine."""
    return unary(Sinh(), x)


def cosh(x: Any) -> Value:
    """Hyperbolic cosine."""
    return unary(Cosh(), x)


def arcsinh(x: Any) -> Value:
    """Inverse hyperbolic sine."""
    return unary(Arcsinh(), x)


def arccosh(x: Any) -> Value:
    """Inverse hyperbolic cosine; NaN where x < 1."""
    return unary(Arccosh(), x)


def arctanh(x: Any) -> Value:
    """Inverse hyperbolic tangent; NaN where |x| > 1."""
    return unary(Arctanh(), x)


def arctan2(x1: Any, x2: Any) -> Value:
    """The angle of the point (x2, x1), broadcast."""
    return binary(Arctan2(), x1, x2)


def deg2rad(x: Any) -> Value:
    """Degrees as radians."""
    return multiply(x, pi / 180)


def rad2deg(x: Any) -> Value:
    """Radians as degrees."""
    return multiply(x, 180 / pi)


def hypot(x1: Any, x2: Any) -> Value:
    """sqrt(x1*x1 + x2*x2), where the squares would overflow too; broadcast."""
    first, second = absolute(x1), absolute(x2)
    large = maximum(first, second)
    scale = where(logical_or(equal(large, 0.0), equal(large, inf)), 1.0, large)
    ratio = divide(minimum(first, second), scale)
    return multiply(large, sqrt(1.0 + square(ratio)))


def sinc(x: Any) -> Value:
    """sin(pi*x) / (pi*x), and 1 at 0."""
    value = as_value(x)
    is_zero = equal(value, 0.0)
    angle = multiply(where(is_zero, 1.0, value), pi)
    return where(is_zero, 1.0, divide(sin(angle), angle))
