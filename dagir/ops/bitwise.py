"""Operations on the bits of integers. Names and meanings are those of keras.ops and NumPy."""

from __future__ import annotations

from typing import Any

from dagir.ir.graph import Value
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
    """Every bit turned over: -x - 1 for a signed integer.  ONNX BitwiseNot-18."""

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
    """x1's bits moved up by x2 places, those beyond the width are lost.  NumPy left_shift.

    x2 is held within 0 and width - 1, as TensorFlow does on a CPU.
    """

    rounding = EXACT
    accepts = "integer"


class RightShift(Binary):
    """floor(x1 / 2**x2).  NumPy right_shift, but x2 held within 0 and width - 1, as TensorFlow does on a CPU."""

    rounding = EXACT
    accepts = "integer"


def bitwise_not(x: Any) -> Value:
    """Every bit turned over, elementwise."""
    return unary(BitwiseNot(), x)


def bitwise_and(x: Any, y: Any) -> Value:
    """The bits set in both, broadcast."""
    return binary(BitwiseAnd(), x, y)


def bitwise_or(x: Any, y: Any) -> Value:
    """The bits set in either, broadcast."""
    return binary(BitwiseOr(), x, y)


def bitwise_xor(x: Any, y: Any) -> Value:
    """The bits set in exactly one, broadcast."""
    return binary(BitwiseXor(), x, y)


def left_shift(x: Any, y: Any) -> Value:
    """x * 2**y within the width of the integer, broadcast."""
    return binary(LeftShift(), x, y)


def right_shift(x: Any, y: Any) -> Value:
    """floor(x / 2**y), broadcast."""
    return binary(RightShift(), x, y)


bitwise_invert = bitwise_not
bitwise_left_shift = left_shift
bitwise_right_shift = right_shift
