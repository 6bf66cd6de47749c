"""Functions of one value, element by element. Names and meanings are those of keras.ops and NumPy."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dagir.errors import ArgumentError
from dagir.ir.first_order import selected
from dagir.ir.graph import Op, Operand, Types, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import APPROXIMATED, EXACT, ROUNDED, SKIPPABLE, Rounding, is_short
from dagir.ir.types import DType, DTypeLike, TensorType
from dagir.ops.arithmetic import Divide, Multiply
from dagir.ops.operands import Unary, binary, require, require_held, unary
from dagir.support import limits

__all__ = [
    "Absolute",
    "Cast",
    "Ceil",
    "Clip",
    "Erf",
    "Erfc",
    "Exp",
    "Expm1",
    "Floor",
    "Identity",
    "Log",
    "Log1p",
    "Negative",
    "Reciprocal",
    "Round",
    "Rsqrt",
    "Sign",
    "Sqrt",
    "Square",
    "absolute",
    "cast",
    "ceil",
    "erf",
    "erfc",
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

    rounding = EXACT
    accepts = "signed"


class Absolute(Unary):
    """|x|.  ONNX Abs-13."""

    rounding = EXACT
    nonnegative = True
    accepts = "number"


class Sign(Unary):
    """-1, 0 or 1.  ONNX Sign-13."""

    rounding = EXACT
    accepts = "number"


class Exp(Unary):
    """e**x.  ONNX Exp-13."""

    rounding = APPROXIMATED
    nonnegative = True


class Log(Unary):
    """Natural logarithm.  ONNX Log-13."""

    rounding = ROUNDED


class Log1p(Unary):
    """log(1 + x).  NumPy log1p."""

    rounding = ROUNDED


class Expm1(Unary):
    """e**x - 1.  NumPy expm1."""

    rounding = ROUNDED


class Sqrt(Unary):
    """Square root.  ONNX Sqrt-13."""

    rounding = ROUNDED


class Rsqrt(Unary):
    """1 / sqrt(x).  keras.ops.rsqrt."""

    rounding = ROUNDED


class Square(Unary):
    """x * x.  NumPy square."""

    rounding = ROUNDED
    nonnegative = True
    accepts = "number"


class Reciprocal(Unary):
    """1 / x.  ONNX Reciprocal-13."""

    rounding = ROUNDED


class Erf(Unary):
    """The error function.  ONNX Erf-13."""

    rounding = APPROXIMATED


class Erfc(Unary):
    """1 - erf(x), with all its digits where that is small.  keras.ops.erfc."""

    rounding = APPROXIMATED
    nonnegative = True


class Floor(Unary):
    """The largest whole number not above x.  ONNX Floor-13."""

    rounding = EXACT


class Ceil(Unary):
    """The smallest whole number not below x.  ONNX Ceil-13."""

    rounding = EXACT


class Round(Unary):
    """The nearest whole number, halves to even.  ONNX Round-11."""

    rounding = EXACT


class Identity(Unary):
    """x itself.  ONNX Identity-13."""

    rounding = EXACT
    moves_only = True
    accepts = "any"


@dataclass(frozen=True)
class Cast(Op):
    """x: t[*s] -> dtype[*s]. Floats to integers truncate towards zero.  ONNX Cast-13.

    A float outside the integer's range is undefined in ONNX, and TensorFlow's result depends on the length of the
    array. Here NaN becomes 0, and any other such float the nearest end of the range. A short float (float8) saturates,
    or overflows to infinity or NaN with saturate=False; round_mode, up, down or nearest, is for float8_e8m0fnu, which
    holds powers of two. Integers of 4 bits and less take the low bits.
    """

    rounding = ROUNDED
    elementwise = True
    dtype: DType
    saturate: bool = True
    round_mode: str = "up"

    def how_it_rounds(self) -> Rounding:
        """A cast to a short float may be left out, together with the one back."""
        return SKIPPABLE if self.dtype in (DType.FLOAT16, DType.BFLOAT16) else self.rounding

    def infer(self, x: TensorType) -> Types:
        """The shape of x with the new dtype."""
        if self.round_mode not in ("up", "down", "nearest"):
            raise ArgumentError(f"round_mode is 'up', 'down' or 'nearest', got {self.round_mode!r}")
        return (x.with_dtype(self.dtype),)


@dataclass(frozen=True)
class Clip(Op):
    """x: t[*s] -> t[*s], limited to [minimum, maximum]; NaN stays.  ONNX Clip-13."""

    rounding = Rounding(first_order=selected)
    elementwise = True
    minimum: float
    maximum: float

    def how_it_rounds(self) -> Rounding:
        """Bounds that are numbers of every float dtype, as 0 and 6, are taken as they are."""
        return replace(self.rounding, exact=is_short(self.minimum) and is_short(self.maximum))

    def __post_init__(self) -> None:
        if self.minimum > self.maximum:
            raise ArgumentError(f"clip takes minimum <= maximum, got {self.minimum} and {self.maximum}")

    def is_nonnegative(self) -> bool:
        """Where the least that it yields is not below 0."""
        return self.minimum >= 0

    def infer(self, x: TensorType) -> Types:
        """The type of x."""
        require("number", x)
        require_held("clip", x, self.minimum, self.maximum)
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


def erfc(x: Operand) -> Value:
    """1 - erf(x), elementwise, with all its digits where that is small.

    >>> show(ops.erfc([-1.0, 0.0, 1.0]))
    [1.8427, 1.0, 0.1573]
    """
    return unary(Erfc(), x)


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
