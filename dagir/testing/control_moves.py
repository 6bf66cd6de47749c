"""Branches and loops as moves of a model that is being drawn; see dagir.testing.drawing. They look at a whole batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from dagir import ops as K
from dagir.ir.graph import Value


class _Growing(Protocol):
    """What a move needs of the model that is being drawn."""

    pool: list[Value]

    def pick(self, values: Sequence[object]) -> Any: ...

    def small(self, low: int = 1, high: int = 4) -> int: ...


_FUNCTIONS: list[Callable[[Value], Value]] = [
    K.relu,
    K.tanh,
    lambda v: K.sin(v) * 2.0,
    lambda v: K.cond(K.mean(v) > 0.2, lambda: -v, lambda: K.cos(v)),
]


def _partner(grow: _Growing, x: Value) -> Value:
    return grow.pick([value for value in grow.pool if value.type == x.type])


def _branch(grow: _Growing, x: Value) -> Value:
    """A branch that the data decide: one side yields a value of before, the other computes."""
    other, function = _partner(grow, x), grow.pick(_FUNCTIONS)
    return K.cond(K.sum(x) > 0.1, lambda: function(x), lambda: other)


def _counting(grow: _Growing, x: Value) -> Value:
    other, function = _partner(grow, x), grow.pick(_FUNCTIONS)
    count = grow.small(1, 3)
    return K.fori_loop(0, count, lambda i, v: function(v) * 0.5 + other, x)


def _testing(grow: _Growing, x: Value) -> Value:
    """A loop that ends when its values are small."""
    (last,) = K.while_loop(lambda v: K.max(K.abs(v)) > 0.3, lambda v: [K.tanh(v) * 0.4], [x], maximum_iterations=4)
    return last


def _along_axis(grow: _Growing, x: Value) -> Value:
    """A recurrence over the first axis."""
    return K.scan(lambda carry, row: (K.tanh(carry + row), carry * 0.5 + row), x[0] * 0.0, x)[1]


CONTROL_MOVES: list[Callable[[Any, Value], Value]] = [_branch, _counting, _testing, _along_axis]

__all__ = ["CONTROL_MOVES"]
