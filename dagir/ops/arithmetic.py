"""Arithmetic of two values, element by element. Names and meanings are those of keras.ops and NumPy."""

from __future__ import annotations

import numpy as np

from dagir.ir.first_order import added, chosen, divided, multiplied
from dagir.ir.graph import Operand, Value
from dagir.ir.rounding import ROUNDED, Arrays, Rounding
from dagir.ops.operands import Binary, binary

__all__ = [
    "Add",
    "Divide",
    "FloorDivide",
    "Maximum",
    "Minimum",
    "Mod",
    "Multiply",
    "Power",
    "Subtract",
    "add",
    "divide",
    "floor_divide",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "power",
    "subtract",
]


_CHOSEN = Rounding(exact=True, first_order=chosen)


def _whole_exponents(noisy: Arrays, operands: Arrays) -> Arrays:
    """A negative number has whole powers alone: there the exponent stays as it was."""
    base, exponent = noisy[0], operands[1]
    assert base is not None
    assert exponent is not None
    assert noisy[1] is not None
    return [base, np.where(base < 0, exponent, noisy[1])]


class Add(Binary):
    """x1 + x2.  ONNX Add-14."""

    rounding = Rounding(first_order=added(1))


class Subtract(Binary):
    """x1 - x2.  ONNX Sub-14."""

    rounding = Rounding(first_order=added(-1))


class Multiply(Binary):
    """x1 * x2.  ONNX Mul-14."""

    rounding = Rounding(first_order=multiplied)


class Divide(Binary):
    """x1 / x2, for floats.  ONNX Div-14."""

    rounding = Rounding(first_order=divided)
    accepts = "float"


class FloorDivide(Binary):
    """floor(x1 / x2); integers divided by 0 are an error, as in TensorFlow; the smallest integer divided by -1 is
    itself.  NumPy floor_divide."""

    rounding = ROUNDED


class Mod(Binary):
    """The remainder with the sign of x2; integers modulo 0 are an error, as in TensorFlow.  NumPy mod."""

    rounding = ROUNDED


class Power(Binary):
    """x1 ** x2. For integers modulo 2**bits, and a negative x2 is an error, as in TensorFlow.  ONNX Pow-15."""

    rounding = Rounding(compound=True, admissible=_whole_exponents)


class Maximum(Binary):
    """The larger; NaN if either is.  NumPy maximum."""

    rounding = _CHOSEN


class Minimum(Binary):
    """The smaller; NaN if either is.  NumPy minimum."""

    rounding = _CHOSEN


def add(x1: Operand, x2: Operand) -> Value:
    """x1 + x2, broadcast.

    >>> show(ops.add([1.0, 2.0], 10))
    [11.0, 12.0]
    """
    return binary(Add(), x1, x2)


def subtract(x1: Operand, x2: Operand) -> Value:
    """x1 - x2, broadcast.

    >>> show(ops.subtract([1.0, 2.0], 10))
    [-9.0, -8.0]
    """
    return binary(Subtract(), x1, x2)


def multiply(x1: Operand, x2: Operand) -> Value:
    """x1 * x2, broadcast.

    >>> show(ops.multiply([1.0, 2.0], 10))
    [10.0, 20.0]
    """
    return binary(Multiply(), x1, x2)


def divide(x1: Operand, x2: Operand) -> Value:
    """x1 / x2, broadcast, for floats.

    >>> show(ops.divide([1.0, 3.0], 2.0))
    [0.5, 1.5]
    """
    return binary(Divide(), x1, x2)


def floor_divide(x1: Operand, x2: Operand) -> Value:
    """floor(x1 / x2), broadcast.

    >>> show(ops.floor_divide([7, -7], 2))
    [3, -4]
    """
    return binary(FloorDivide(), x1, x2)


def mod(x1: Operand, x2: Operand) -> Value:
    """The remainder, with the sign of x2.

    >>> show(ops.mod([7, -7], 3))
    [1, 2]
    """
    return binary(Mod(), x1, x2)


def power(x1: Operand, x2: Operand) -> Value:
    """x1 ** x2, broadcast.

    >>> show(ops.power([2.0, 3.0], 2.0))
    [4.0, 9.0]
    """
    return binary(Power(), x1, x2)


def maximum(x1: Operand, x2: Operand) -> Value:
    """The larger, elementwise.

    >>> show(ops.maximum([1.0, 4.0], [2.0, 3.0]))
    [2.0, 4.0]
    """
    return binary(Maximum(), x1, x2)


def minimum(x1: Operand, x2: Operand) -> Value:
    """The smaller, elementwise.

    >>> show(ops.minimum([1.0, 4.0], [2.0, 3.0]))
    [1.0, 3.0]
    """
    return binary(Minimum(), x1, x2)
