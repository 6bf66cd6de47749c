"""Scales and shifts of channels, recognized in every op that can express them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from dagir import ops
from dagir.ir.graph import Constant, Node, Parameter, Value
from dagir.ir.leaves import is_leaf
from dagir.ir.rewriter import Operands
from dagir.ir.types import Array

Numbers: TypeAlias = Callable[[], Array]


@dataclass(frozen=True)
class Affine:
    """x * scale + shift, with one number for each channel on `axis`, or one for all where axis is None.

    `scale` and `shift` compute float64 arrays of rank 1 when they are called. A scale of None means 1, a shift of None
    means 0. sources: the weights and constants that the arrays are computed from.
    """

    x: Value
    axis: int | None
    scale: Numbers | None
    shift: Numbers | None
    sources: Operands = ()


def affine(node: Node, operands: Operands) -> Affine | None:
    """The node as an Affine; None if it is not one, or if its scale or shift is known only at run time."""
    op = node.op
    if isinstance(op, ops.BatchNorm):
        return _batch_norm(op, operands)
    if isinstance(op, ops.Negative) and operands[0] is not None and operands[0].dtype.is_float:
        return Affine(operands[0], None, lambda: np.full(1, -1.0), None)
    if not isinstance(op, (ops.Multiply, ops.Add, ops.Subtract, ops.Divide)):
        return None
    left, right = operands
    assert left is not None
    assert right is not None
    if not node.output.dtype.is_float:
        return None
    if is_leaf(right) and left.type == node.output.type:
        return _with_leaf(op, left, right)
    if is_leaf(left) and right.type == node.output.type and not isinstance(op, ops.Divide):
        found = _with_leaf(op, right, left)
        if found is not None and isinstance(op, ops.Subtract):  # leaf - x
            return Affine(right, found.axis, lambda: np.full(1, -1.0), numbers(left), (left,))
        return found
    return None


def numbers(value: Value) -> Numbers:
    """A function that returns the elements of a leaf as a flat float64 array."""
    source = value.source
    assert isinstance(source, (Parameter, Constant))
    return lambda: source.array.astype(np.float64).reshape(-1)


def _batch_norm(op: ops.BatchNorm, operands: Operands) -> Affine | None:
    x, gamma, beta, mean, var = (*operands, None, None)[:5]
    if x is None or mean is None or var is None:
        return None
    if not all(is_leaf(value) for value in (gamma, beta, mean, var) if value is not None):
        return None

    def wide(value: Value | None, default: float) -> Array:
        return np.full(1, default) if value is None else numbers(value)()

    @np.errstate(all="ignore")
    def scale() -> Array:
        found: Array = wide(gamma, 1.0) / np.sqrt(wide(var, 1.0) + op.epsilon)
        return found

    @np.errstate(all="ignore")
    def shift() -> Array:
        found: Array = wide(beta, 0.0) - wide(mean, 0.0) * scale()
        return found

    return Affine(x, op.axis, scale, shift, operands[1:])


def _with_leaf(op: object, x: Value, leaf: Value) -> Affine | None:
    axis = _channel_axis(x, leaf)
    if axis is False:
        return None
    given = numbers(leaf)
    if isinstance(op, ops.Multiply):
        return Affine(x, axis, given, None, (leaf,))
    if isinstance(op, ops.Divide):
        return Affine(x, axis, lambda: _inverse(given()), None, (leaf,))
    return Affine(x, axis, None, (lambda: -given()) if isinstance(op, ops.Subtract) else given, (leaf,))


@np.errstate(all="ignore")
def _inverse(numbers: Array) -> Array:
    found: Array = 1 / numbers
    return found


def _channel_axis(x: Value, leaf: Value) -> int | bool | None:
    """The only axis of x along which the leaf varies; None if the leaf is one number, False in all other cases."""
    offset = x.type.rank - leaf.type.rank
    varying = [(axis + offset, size) for axis, size in enumerate(leaf.type.shape) if size != 1]
    if not varying:
        return None
    (axis, size) = varying[0]
    return axis if len(varying) == 1 and x.type.shape[axis] == size else False
