"""Which value of a new graph stands for which of the old: what passes leave behind for those who compare the two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeAlias

from dagir.graph import Value


@dataclass(frozen=True)
class Standing:
    """A value of the new graph. axes: transpose its array by these to get the old value's; None where it is equal."""

    value: Value
    axes: tuple[int, ...] | None = None


Step: TypeAlias = Mapping[Value, Standing]

_steps: ContextVar[list[Step] | None] = ContextVar("dagir_correspondence", default=None)


@contextmanager
def recorded() -> Iterator[list[Step]]:
    """Collect what the passes that run inside say about their values, in their order."""
    steps: list[Step] = []
    token = _steps.set(steps)
    try:
        yield steps
    finally:
        _steps.reset(token)


def record(replaced: Mapping[Value, Value], axes: Mapping[Value, Sequence[int]] | None = None) -> None:
    """Say what stands for the values of an old graph; a value that is left out stands for itself."""
    steps = _steps.get()
    if steps is None:
        return
    turned = axes or {}
    step: dict[Value, Standing] = {}
    for old, new in replaced.items():
        if old is not new:
            step[old] = Standing(new, tuple(turned[old]) if old in turned else None)
    steps.append(step)


def compose(values: Sequence[Value], steps: Sequence[Step]) -> dict[Value, Standing]:
    """What stands for each value after all steps."""
    current = {value: Standing(value) for value in values}
    for step in steps:
        for value, standing in current.items():
            following = step.get(standing.value)
            if following is not None:
                current[value] = Standing(following.value, _then(following.axes, standing.axes))
    return current


def _then(first: tuple[int, ...] | None, second: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """One transpose for two, `first` applied first."""
    if first is None or second is None:
        return first or second
    return tuple(first[axis] for axis in second)
