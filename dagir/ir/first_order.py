"""First-order rules: how the deviations of a node's operands carry over to its result, for the ops that cost most.

Near an evaluation without noise, a deviation of an operand changes the result by the derivative times the deviation,
and by its square times the second derivative, which for a deviation of a few roundings is nothing. N. J. Higham,
Accuracy and Stability of Numerical Algorithms, chapter 1.6. So a deviation can be carried by itself, in few digits, for
many samples at once, where evaluating the node again with noise takes float64. An op without a rule is evaluated again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

from dagir.ir.types import Array

_SMALL = 2.0**-7
"""A relative deviation whose square is nothing beside it."""


class Carried(Protocol):
    """One node. Deviations are arrays (samples, *shape of the value) of short floats, all in the same unit.

    operands, result: without noise, in float64. deviations: of the operands; None where one has none. unit: what a
    deviation of 1 stands for.
    """

    unit: float

    operands: Sequence[Array | None]
    deviations: Sequence[Array | None]
    result: Array

    def disturbed(self, place: int, relative: Array | None = None) -> Array | None:
        """A new array: the deviations of an operand, with noise added if the node rounds; None if there are none.

        relative: (samples, *...), broadcasts to the operand: a further relative deviation, from `numbers`.
        """

    def numbers(self, place: int, *shape: int) -> Array:
        """Noise (samples, *shape) as large as the relative noise on an operand; zeros if the node does not round."""

    def through(self, deviations: Array, stacked: bool) -> Array:
        """The node itself on deviations in place of its first operand, and nothing in place of what it adds.

        stacked: whether the samples can be one longer first axis of the operand, else each is evaluated by itself.
        """

    def derivative(self) -> Array:
        """Of a smooth function of one number that is defined everywhere: its slope at each element, in float32."""


FirstOrder: TypeAlias = Callable[[Any, Carried], Array | None]
"""(op, node) -> the deviations of the result without those of its own rounding; None where the rule does not hold."""


def along(vectors: Array, axis: int, rank: int) -> Array:
    """(samples, size) as (samples, 1..., size, 1...), to broadcast along an axis of arrays of this rank."""
    shape = [1] * rank
    shape[axis] = vectors.shape[1]
    return vectors.reshape(len(vectors), *shape)


def weighted(channels: Callable[[Any], int], filters: Callable[[Any], int]) -> FirstOrder:
    """The rule of w * x + b, where w and b are weights. channels, filters: the axis of x, and of the result.

    Noise on a weight is noise on what it multiplies: one number for each channel, at all places and in all rows.
    """

    def rule(op: Any, at: Carried) -> Array | None:
        x, bias = at.operands[0], at.operands[2] if len(at.operands) > 2 else None
        assert x is not None
        if any(each is not None for each in at.deviations[1:]):
            return None
        of_weights = along(at.numbers(1, x.shape[channels(op)]), channels(op), x.ndim)
        moved = at.disturbed(0, of_weights)
        if moved is None:
            return None
        found = at.through(moved, stacked=True)
        if bias is not None:
            found += along(at.numbers(2, bias.size) * bias.astype(np.float32), filters(op), at.result.ndim)
        return found

    return rule


def averaged(op: Any, at: Carried) -> Array | None:
    """The rule of sums and means of one operand."""
    moved = at.disturbed(0)
    return None if moved is None else at.through(moved, stacked=False)


def selected(op: Any, at: Carried) -> Array | None:
    """The rule of what keeps x or puts a number in its place."""
    moved, x = at.disturbed(0), at.operands[0]
    if moved is None or x is None:
        return None
    moved *= at.result == x
    return moved


def chosen(op: Any, at: Carried) -> Array | None:
    """The rule of what keeps one of two numbers, as a minimum. Of two that are equal, both may move."""
    first, second = _aligned(at.disturbed(0), at), _aligned(at.disturbed(1), at)
    return _sum(
        None if first is None else np.asarray(first * (at.result == at.operands[0])),
        None if second is None else np.asarray(second * (at.result == at.operands[1])),
    )


def padded(op: Any, at: Carried) -> Array | None:
    """The rule of what puts zeros, or copies, around x."""
    moved = at.disturbed(0) if op.mode != "constant" or op.value == 0 else None
    return None if moved is None else at.through(moved, stacked=tuple(op.pads[0]) == (0, 0))


def added(sign: float) -> FirstOrder:
    """The rule of x1 + sign * x2."""

    def rule(op: Any, at: Carried) -> Array | None:
        first, second = _aligned(at.disturbed(0), at), _aligned(at.disturbed(1), at)
        if second is not None and sign < 0:
            np.negative(second, out=second)
        return _sum(first, second)

    return rule


def multiplied(op: Any, at: Carried) -> Array | None:
    """The rule of x1 * x2."""
    x1, x2 = at.operands
    assert x1 is not None
    assert x2 is not None
    first, second = _aligned(at.disturbed(0), at), _aligned(at.disturbed(1), at)
    return _sum(
        None if first is None else first * x2.astype(np.float32),
        None if second is None else second * x1.astype(np.float32),
    )


def divided(op: Any, at: Carried) -> Array | None:
    """The rule of x1 / x2, where x2 stays away from 0."""
    x2 = at.operands[1]
    assert x2 is not None
    first, second = _aligned(at.disturbed(0), at), at.disturbed(1)
    if not (_largest(second) * at.unit < _SMALL * np.abs(x2)).all():
        return None
    inverse = (1 / x2).astype(np.float32)
    relative = None if second is None else _aligned(-second * inverse, at)
    return _sum(
        None if first is None else first * inverse,
        None if relative is None else relative * at.result.astype(np.float32),
    )


def _largest(deviations: Array | None) -> Array | float:
    """The largest magnitude of each element's deviations."""
    return 0.0 if deviations is None else np.abs(deviations).max(0)


def smooth(op: Any, at: Carried) -> Array | None:
    """The rule of a smooth function of one number that is defined everywhere."""
    moved = at.disturbed(0)
    if moved is None:
        return None
    moved *= at.derivative()
    return moved


def _aligned(deviations: Array | None, at: Carried) -> Array | None:
    """The deviations with axes of size 1 in front, as broadcasting gives them to an operand of lower rank."""
    if deviations is None:
        return None
    samples, *shape = deviations.shape
    return deviations.reshape(samples, *(1,) * (at.result.ndim - len(shape)), *shape)


def _sum(first: Array | None, second: Array | None) -> Array | None:
    if first is None or second is None:
        return second if first is None else first
    if first.shape != second.shape:
        return np.asarray(first + second)
    first += second
    return first
