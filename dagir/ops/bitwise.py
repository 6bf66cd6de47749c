"""Operations on the bits of integers. Names and meanings are those of keras.ops and NumPy."""

from __future__ import annotations

from dagir.ir.graph import Operand, Value
from dagir.ir.rounding import EXACT
from dagir.ops.operands import Binary, Unary, binary, unary

__all__ = [
    "BitwiseAnd",
    "BitwiseNot",
    "BitwiseOr",
    "BitwiseXor",
    "LeftShift",
    "RightShift",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "left_shift",
    "right_shift",
]


class BitwiseNot(Unary):
    """Every bit inverted: -x - 1 for a signed integer.  ONNX BitwiseNot-18."""

    rounding = EXACT
    accepts = "integer"


class BitwiseAnd(Binary):
    """The bits set in both.  ONNX BitwiseAnd-18."""

    rounding = EXACT
    accepts = "integer"


class BitwiseOr(Binary):
    """The bits set in either.  ONNX BitwiseOr-18."""

    rounding = EXACT
    accepts = "integer"


class BitwiseXor(Binary):
    """The bits set in exactly one.  ONNX BitwiseXor-18."""

    rounding = EXACT
    accepts = "integer"


class LeftShift(Binary):
    """The bits of x1 shifted left by x2; bits beyond the width are lost.  NumPy left_shift.

    x2 is limited to 0 to width - 1, as in TensorFlow on a CPU.
    """

    rounding = EXACT
    accepts = "integer"


class RightShift(Binary):
    """floor(x1 / 2**x2).  NumPy right_shift, but x2 is limited to 0 to width - 1, as in TensorFlow on a CPU."""

    rounding = EXACT
    accepts = "integer"


def bitwise_not(x: Operand) -> Value:
    """Every bit inverted, elementwise.

    >>> show(ops.bitwise_not([6]))
    [-7]
    """
    return unary(BitwiseNot(), x)


def bitwise_and(x: Operand, y: Operand) -> Value:
    """The bits set in both, broadcast.

    >>> show(ops.bitwise_and([6], [3]))
    [2]
    """
    return binary(BitwiseAnd(), x, y)


def bitwise_or(x: Operand, y: Operand) -> Value:
    """The bits set in either, broadcast.

    >>> show(ops.bitwise_or([6], [3]))
    [7]
    """
    return binary(BitwiseOr(), x, y)


def bitwise_xor(x: Operand, y: Operand) -> Value:
    """The bits set in exactly one, broadcast.

    >>> show(ops.bitwise_xor([6], [3]))
    [5]
    """
    return binary(BitwiseXor(), x, y)


def left_shift(x: Operand, y: Operand) -> Value:
    """x * 2**y within the width of the integer, broadcast.

    >>> show(ops.left_shift([3], [2]))
    [12]
    """
    return binary(LeftShift(), x, y)


def right_shift(x: Operand, y: Operand) -> Value:
    """floor(x / 2**y), broadcast.

    >>> show(ops.right_shift([13], [2]))
    [3]
    """
    return binary(RightShift(), x, y)


bitwise_invert = bitwise_not
bitwise_left_shift = left_shift
bitwise_right_shift = right_shift
