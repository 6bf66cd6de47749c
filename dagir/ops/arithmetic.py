"""Arithmetic of two values, element by element: the functions of the ops in elementwise.py."""

from __future__ import annotations

from dagir.ir.graph import Operand, Value
from dagir.ops.elementwise import (
    Add,
    Divide,
    FloorDivide,
    Maximum,
    Minimum,
    Mod,
    Multiply,
    Power,
    Subtract,
)
from dagir.ops.operands import binary

__all__ = [
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
