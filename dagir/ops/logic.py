"""Comparison and logic, elementwise. Names and meanings are those of keras.ops and NumPy."""

from __future__ import annotations

from math import inf

from dagir.ir.graph import Op, Operand, Types, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import EXACT
from dagir.ir.types import DType, Equations, Inferred, TensorType
from dagir.ops.arithmetic import add, multiply, subtract
from dagir.ops.elementwise import absolute, cast, reciprocal
from dagir.ops.operands import Binary, Unary, binary, reference, require, same_dtype, unary

__all__ = [
    "Equal",
    "Greater",
    "GreaterEqual",
    "IsNan",
    "Less",
    "LessEqual",
    "LogicalAnd",
    "LogicalNot",
    "LogicalOr",
    "LogicalXor",
    "NotEqual",
    "Where",
    "equal",
    "greater",
    "greater_equal",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "not_equal",
    "signbit",
    "where",
]


class LogicalNot(Unary):
    """x: bool[*s] -> bool[*s].  ONNX Not-1."""

    rounding = EXACT
    accepts = "bool"


class IsNan(Unary):
    """Whether x is NaN: f[*s] -> bool[*s].  ONNX IsNaN-13."""

    rounding = EXACT

    def infer(self, x: TensorType) -> Types:
        """The shape of x, as bool."""
        require("float", x)
        return (x.with_dtype(DType.BOOL),)


class Comparison(Binary):
    """x1, x2: t[*s1], t[*s2] -> bool[*broadcast(s1, s2)]."""

    result = DType.BOOL


class Equal(Comparison):
    """x1 == x2.  ONNX Equal-13."""

    rounding = EXACT
    accepts = "any"


class NotEqual(Comparison):
    """x1 != x2.  NumPy not_equal."""

    rounding = EXACT
    accepts = "any"


class Less(Comparison):
    """x1 < x2.  ONNX Less-13."""

    rounding = EXACT


class LessEqual(Comparison):
    """x1 <= x2.  ONNX LessOrEqual-16."""

    rounding = EXACT


class Greater(Comparison):
    """x1 > x2.  ONNX Greater-13."""

    rounding = EXACT


class GreaterEqual(Comparison):
    """x1 >= x2.  ONNX GreaterOrEqual-16."""

    rounding = EXACT


class LogicalAnd(Binary):
    """x1 and x2.  ONNX And-7."""

    rounding = EXACT
    accepts = "bool"


class LogicalOr(Binary):
    """x1 or x2.  ONNX Or-7."""

    rounding = EXACT
    accepts = "bool"


class LogicalXor(Binary):
    """Exactly one of x1, x2.  ONNX Xor-7."""

    rounding = EXACT
    accepts = "bool"


class Where(Op):
    """condition: bool[*s], x1: t[*s1], x2: t[*s2] -> t[*broadcast]: x1 where true, else x2.  ONNX Where-16."""

    rounding = EXACT
    elementwise = True
    moves_only = True
    operands = ("condition", "x1", "x2")

    def infer(self, condition: TensorType, x1: TensorType, x2: TensorType) -> Inferred:
        """The broadcast shape."""
        equations = Equations()
        require("bool", condition)
        shape = equations.broadcast(condition.shape, x1.shape, x2.shape)
        return equations.inferred(TensorType(same_dtype(x1, x2), shape))


def logical_not(x: Operand) -> Value:
    """Not x, elementwise.

    >>> show(ops.logical_not([True, False]))
    [False, True]
    """
    return unary(LogicalNot(), x)


def isnan(x: Operand) -> Value:
    """Whether each element is NaN.

    >>> show(ops.isnan([1.0, np.inf, np.nan]))
    [False, False, True]
    """
    return unary(IsNan(), x)


def isinf(x: Operand) -> Value:
    """Whether each element is infinite; an integer never is.

    >>> show(ops.isinf([1.0, -np.inf, np.nan]))
    [False, True, False]
    """
    value = as_value(x)
    return equal(absolute(value), inf) if value.dtype.is_float else not_equal(value, value)


def isposinf(x: Operand) -> Value:
    """Whether each element is infinite and above 0.

    >>> show(ops.isposinf([-np.inf, np.inf]))
    [False, True]
    """
    value = as_value(x)
    return equal(value, inf) if value.dtype.is_float else not_equal(value, value)


def isneginf(x: Operand) -> Value:
    """Whether each element is infinite and below 0.

    >>> show(ops.isneginf([-np.inf, np.inf]))
    [True, False]
    """
    value = as_value(x)
    return equal(value, -inf) if value.dtype.is_float else not_equal(value, value)


def isfinite(x: Operand) -> Value:
    """Whether each element is neither infinite nor NaN.

    >>> show(ops.isfinite([1.0, np.inf, np.nan]))
    [True, False, False]
    """
    value = as_value(x)
    return less(absolute(value), inf) if value.dtype.is_float else equal(value, value)


def signbit(x: Operand) -> Value:
    """Whether each element is below 0 or is -0.0.

    >>> show(ops.signbit([-1.0, -0.0, 0.0]))
    [True, True, False]
    """
    value = as_value(x)
    if not value.dtype.is_float:
        return less(value, 0)
    return logical_or(less(value, 0.0), less(reciprocal(value), 0.0))


def isclose(x1: Operand, x2: Operand, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Value:
    """Whether |x1 - x2| <= atol + rtol * |x2|, x2 being finite, or both are the same infinity; integers as float32.

    equal_nan: whether NaN is close to NaN.

    >>> show(ops.isclose([1.0, 1.1], [1.000001, 1.0]))
    [True, False]
    """
    first, second = (_as_float(x, other) for x, other in ((x1, x2), (x2, x1)))
    allowed = add(multiply(absolute(second), rtol), atol)
    near = logical_and(less_equal(absolute(subtract(first, second)), allowed), isfinite(second))
    alike = logical_or(near, equal(first, second))
    return logical_or(alike, logical_and(isnan(first), isnan(second))) if equal_nan else alike


def _as_float(x: Operand, other: Operand) -> Value:
    value = as_value(x, like=reference(other))
    return value if value.dtype.is_float else cast(value, DType.FLOAT32)


def equal(x1: Operand, x2: Operand) -> Value:
    """x1 == x2, elementwise.

    >>> show(ops.equal([1, 2], [1, 3]))
    [True, False]
    """
    return binary(Equal(), x1, x2)


def not_equal(x1: Operand, x2: Operand) -> Value:
    """x1 != x2, elementwise.

    >>> show(ops.not_equal([1, 2], [1, 3]))
    [False, True]
    """
    return binary(NotEqual(), x1, x2)


def less(x1: Operand, x2: Operand) -> Value:
    """x1 < x2, elementwise.

    >>> show(ops.less([1, 2], 2))
    [True, False]
    """
    return binary(Less(), x1, x2)


def less_equal(x1: Operand, x2: Operand) -> Value:
    """x1 <= x2, elementwise.

    >>> show(ops.less_equal([1, 2], 1))
    [True, False]
    """
    return binary(LessEqual(), x1, x2)


def greater(x1: Operand, x2: Operand) -> Value:
    """x1 > x2, elementwise.

    >>> show(ops.greater([1, 2], 1))
    [False, True]
    """
    return binary(Greater(), x1, x2)


def greater_equal(x1: Operand, x2: Operand) -> Value:
    """x1 >= x2, elementwise.

    >>> show(ops.greater_equal([1, 2], 2))
    [False, True]
    """
    return binary(GreaterEqual(), x1, x2)


def logical_and(x1: Operand, x2: Operand) -> Value:
    """x1 and x2, elementwise.

    >>> show(ops.logical_and([True, True], [True, False]))
    [True, False]
    """
    return binary(LogicalAnd(), x1, x2)


def logical_or(x1: Operand, x2: Operand) -> Value:
    """x1 or x2, elementwise.

    >>> show(ops.logical_or([True, False], [False, False]))
    [True, False]
    """
    return binary(LogicalOr(), x1, x2)


def logical_xor(x1: Operand, x2: Operand) -> Value:
    """Exactly one of x1, x2, elementwise.

    >>> show(ops.logical_xor([True, True], [True, False]))
    [False, True]
    """
    return binary(LogicalXor(), x1, x2)


def where(condition: Operand, x1: Operand, x2: Operand) -> Value:
    """x1 where the condition holds, else x2, broadcast.

    >>> show(ops.where([True, False], [1.0, 2.0], 0.0))
    [1.0, 0.0]
    """
    first = as_value(x1, like=reference(x2))
    return apply(Where(), as_value(condition), first, as_value(x2, like=first))
