"""Elementwise arithmetic. Names and meanings are those of keras.ops and NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dagir.errors import ArgumentError, DTypeError
from dagir.ir.graph import Op, Operand, Types, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.types import DType, DTypeLike, TensorType
from dagir.ops.operands import Binary, Unary, binary, require, unary
from dagir.support import limits

__all__ = [
    "Absolute",
    "Add",
    "Cast",
    "Ceil",
    "Clip",
    "Divide",
    "Erf",
    "Exp",
    "Expm1",
    "Floor",
    "FloorDivide",
    "Identity",
    "Log",
    "Log1p",
    "Maximum",
    "Minimum",
    "Mod",
    "Multiply",
    "Negative",
    "Power",
    "Reciprocal",
    "Round",
    "Rsqrt",
    "Sign",
    "Sqrt",
    "Square",
    "Subtract",
    "absolute",
    "cast",
    "ceil",
    "clip",
    "erf",
    "exp",
    "expm1",
    "floor",
    "identity",
    "log",
    "log1p",
    "negative",
    "reciprocal",
    "round",
    "rsqrt",
    "sign",
    "sqrt",
    "square",
]


class Negative(Unary):
    """-x.  ONNX Neg-13."""

    accepts = "signed"


class Absolute(Unary):
    """|x|.  ONNX Abs-13."""

    accepts = "number"


class Sign(Unary):
    """-1, 0 or 1.  ONNX Sign-13."""

    accepts = "number"


class Exp(Unary):
    """e**x.  ONNX Exp-13."""


class Log(Unary):
    """Natural logarithm.  ONNX Log-13."""


class Log1p(Unary):
    """log(1 + x).  NumPy log1p."""


class Expm1(Unary):
    """e**x - 1.  NumPy expm1."""


class Sqrt(Unary):
    """Square root.  ONNX Sqrt-13."""


class Rsqrt(Unary):
    """1 / sqrt(x).  keras.ops.rsqrt."""


class Square(Unary):
    """x * x.  NumPy square."""

    accepts = "number"


class Reciprocal(Unary):
    """1 / x.  ONNX Reciprocal-13."""


class Erf(Unary):
    """The error function.  ONNX Erf-13."""


class Floor(Unary):
    """The largest whole number not above x.  ONNX Floor-13."""


class Ceil(Unary):
    """The smallest whole number not below x.  ONNX Ceil-13."""


class Round(Unary):
    """The nearest whole number, halves to even.  ONNX Round-11."""


class Identity(Unary):
    """x itself.  ONNX Identity-13."""

    accepts = "any"


@dataclass(frozen=True)
class Cast(Op):
    """x: t[*s] -> dtype[*s]. Floats to integers truncate towards zero.  ONNX Cast-13.

    A float outside the integer's range is undefined in ONNX, and TensorFlow's result depends on the length of the
    array. Here NaN becomes 0, and any other such float the nearest end of the range.
    """

    dtype: DType

    def infer(self, x: TensorType) -> Types:
        """The shape of x with the new dtype."""
        return (x.with_dtype(self.dtype),)


class Add(Binary):
    """x1 + x2.  ONNX Add-14."""


class Subtract(Binary):
    """x1 - x2.  ONNX Sub-14."""


class Multiply(Binary):
    """x1 * x2.  ONNX Mul-14."""


class Divide(Binary):
    """x1 / x2, for floats.  ONNX Div-14."""

    accepts = "float"


class FloorDivide(Binary):
    """floor(x1 / x2); integers divided by 0 are an error, as in TensorFlow; the smallest integer divided by -1 is
    itself.  NumPy floor_divide."""


class Mod(Binary):
    """The remainder with the sign of x2; integers modulo 0 are an error, as in TensorFlow.  NumPy mod."""


class Power(Binary):
    """x1 ** x2. For integers modulo 2**bits, and a negative x2 is an error, as in TensorFlow.  ONNX Pow-15."""


class Maximum(Binary):
    """The larger; NaN if either is.  NumPy maximum."""


class Minimum(Binary):
    """The smaller; NaN if either is.  NumPy minimum."""


@dataclass(frozen=True)
class Clip(Op):
    """x: t[*s] -> t[*s], limited to [minimum, maximum]; NaN stays.  ONNX Clip-13."""

    minimum: float
    maximum: float

    def __post_init__(self) -> None:
        if self.minimum > self.maximum:
            raise ArgumentError(f"clip takes minimum <= maximum, got {self.minimum} and {self.maximum}")

    def infer(self, x: TensorType) -> Types:
        """The type of x."""
        require("number", x)
        if x.dtype.is_integer:
            ends = np.iinfo(x.dtype.numpy)
            for bound in (self.minimum, self.maximum):
                if not ends.min <= bound <= ends.max:
                    raise DTypeError(
                        f"clip has the bound {bound}, which is no {x.dtype}",
                        remedy=f"take one from {ends.min} to {ends.max}, or cast the value first",
                    )
        return (x,)


def negative(x: Operand) -> Value:
    """-x, elementwise.

    >>> show(ops.negative([1.0, -2.0]))
    [-1.0, 2.0]
    """
    return unary(Negative(), x)


def absolute(x: Operand) -> Value:
    """|x|, elementwise.

    >>> show(ops.absolute([-2.0, 3.0]))
    [2.0, 3.0]
    """
    return unary(Absolute(), x)


def sign(x: Operand) -> Value:
    """-1, 0 or 1, elementwise.

    >>> show(ops.sign([-2.0, 0.0, 3.0]))
    [-1.0, 0.0, 1.0]
    """
    return unary(Sign(), x)


def exp(x: Operand) -> Value:
    """e**x, elementwise.

    >>> show(ops.exp([0.0, 1.0]))
    [1.0, 2.7183]
    """
    return unary(Exp(), x)


def log(x: Operand) -> Value:
    """Natural logarithm, elementwise.

    >>> show(ops.log([1.0, 10.0]))
    [0.0, 2.3026]
    """
    return unary(Log(), x)


def log1p(x: Operand) -> Value:
    """log(1 + x), elementwise.

    >>> show(ops.log1p([0.0, 1.0]))
    [0.0, 0.6931]
    """
    return unary(Log1p(), x)


def expm1(x: Operand) -> Value:
    """e**x - 1, elementwise.

    >>> show(ops.expm1([0.0, 1.0]))
    [0.0, 1.7183]
    """
    return unary(Expm1(), x)


def sqrt(x: Operand) -> Value:
    """Square root, elementwise.

    >>> show(ops.sqrt([4.0, 9.0]))
    [2.0, 3.0]
    """
    return unary(Sqrt(), x)


def rsqrt(x: Operand) -> Value:
    """1 / sqrt(x), elementwise.

    >>> show(ops.rsqrt([4.0, 16.0]))
    [0.5, 0.25]
    """
    return unary(Rsqrt(), x)


def square(x: Operand) -> Value:
    """x * x, elementwise.

    >>> show(ops.square([3.0, -4.0]))
    [9.0, 16.0]
    """
    return unary(Square(), x)


def reciprocal(x: Operand) -> Value:
    """1 / x, elementwise.

    >>> show(ops.reciprocal([2.0, 4.0]))
    [0.5, 0.25]
    """
    return unary(Reciprocal(), x)


def erf(x: Operand) -> Value:
    """The error function, elementwise.

    >>> show(ops.erf([-1.0, 0.0, 1.0]))
    [-0.8427, 0.0, 0.8427]
    """
    return unary(Erf(), x)


def floor(x: Operand) -> Value:
    """Round down, elementwise.

    >>> show(ops.floor([1.2, -1.2]))
    [1.0, -2.0]
    """
    return unary(Floor(), x)


def ceil(x: Operand) -> Value:
    """Round up, elementwise.

    >>> show(ops.ceil([1.2, -1.2]))
    [2.0, -1.0]
    """
    return unary(Ceil(), x)


def round(x: Operand, decimals: int = 0) -> Value:
    """x rounded to `decimals` places, halves to even; a negative number counts places before the point.

    >>> show(ops.round([1.25, 2.5, 3.5]))
    [1.0, 2.0, 4.0]
    """
    value = as_value(x)
    if value.dtype.is_integer:
        return value if decimals >= 0 else cast(round(cast(value, DType.FLOAT32), decimals), value.dtype)
    factor = 10.0**decimals
    if not decimals:
        return apply(Round(), value)
    return binary(Divide(), apply(Round(), binary(Multiply(), value, factor)), factor)


def identity(x: Operand, dtype: DTypeLike | None = None) -> Value:
    """x itself, as a new node; for an int n the [n, n] identity matrix, as keras.ops.identity.

    >>> show(ops.identity([1.0, 2.0]))
    [1.0, 2.0]
    """
    if isinstance(x, int):
        limits.spend("elements", max(x, 0) ** 2, "identity")
        return as_value(np.eye(x, dtype=DType.of(dtype or "float32").numpy))
    return unary(Identity(), x)


def cast(x: Operand, dtype: DTypeLike) -> Value:
    """x in another dtype; x itself where it has that dtype already.

    >>> show(ops.cast([1.7, -1.7], "int32"))
    [1, -1]
    """
    value, target = as_value(x), DType.of(dtype)
    return value if value.dtype is target else apply(Cast(target), value)


def clip(x: Operand, x_min: float, x_max: float) -> Value:
    """x held within [x_min, x_max].

    >>> show(ops.clip([-1.0, 0.5, 9.0], 0.0, 1.0))
    [0.0, 0.5, 1.0]
    """
    return unary(Clip(x_min, x_max), x)
