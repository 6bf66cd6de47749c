"""Which value of a new graph corresponds to which value of the old one. Passes record it, comparisons read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeAlias

from dagir.ir.graph import Value
from dagir.ir.types import Array


@dataclass(frozen=True)
class Standing:
    """A value of the new graph, and how to get the old value's array from it: reshape to `shape`, then transpose by
    `axes`.

    One size of a shape may be -1. None means that the step is not needed.
    """

    value: Value
    axes: tuple[int, ...] | None = None
    shape: tuple[int, ...] | None = None

    def as_written(self, array: Array) -> Array:
        """The array of the old value, from that of the new one."""
        array = array if self.shape is None else array.reshape(self.shape)
        return array if self.axes is None else array.transpose(self.axes)


Step: TypeAlias = Mapping[Value, Standing]

_steps: ContextVar[list[Step] | None] = ContextVar("dagir_correspondence", default=None)


@contextmanager
def recorded() -> Iterator[list[Step]]:
    """Collect the steps that passes record inside the `with` block, in their order."""
    steps: list[Step] = []
    token = _steps.set(steps)
    try:
        yield steps
    finally:
        _steps.reset(token)


def record(
    replaced: Mapping[Value, Value],
    axes: Mapping[Value, Sequence[int]] | None = None,
    shapes: Mapping[Value, Sequence[int]] | None = None,
) -> None:
    """Record the new values of an old graph's values; a value that is left out has not changed."""
    steps = _steps.get()
    if steps is None:
        return
    turned, shaped = axes or {}, shapes or {}
    step: dict[Value, Standing] = {}
    for old, new in replaced.items():
        if old is not new:
            step[old] = Standing(new, _tuple(turned.get(old)), _tuple(shaped.get(old)))
    steps.append(step)


def compose(values: Sequence[Value], steps: Sequence[Step]) -> dict[Value, Standing]:
    """The new value of each value after all steps."""
    current = {value: Standing(value) for value in values}
    for step in steps:
        for value, standing in current.items():
            following = step.get(standing.value)
            if following is not None:
                current[value] = _composed(following, standing)
    return current


def _composed(following: Standing, standing: Standing) -> Standing:
    """Two steps as one reshape and one transpose after it. Where that form cannot hold both, the new graph has no
    value for this one: the first step is returned, whose value is gone."""
    if standing.shape is None:
        return Standing(following.value, _then(following.axes, standing.axes), following.shape)
    if following.axes is None and following.shape is None:
        return Standing(following.value, standing.axes, standing.shape)
    return standing


def _tuple(numbers: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if numbers is None else tuple(numbers)


def _then(first: tuple[int, ...] | None, second: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """One transpose for two, `first` applied first."""
    if first is None or second is None:
        return first or second
    return tuple(first[axis] for axis in second)
