"""Weights as they were when a model was lowered: an executable does not follow what is assigned after that."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from dagir.ir.types import Array


class _Weight(Protocol):
    @property
    def array(self) -> Array: ...


_seen: ContextVar[Mapping[Any, Array] | None] = ContextVar("dagir_snapshot", default=None)


class Snapshot:
    """The arrays of weights, without a copy: nobody writes into them, `assign` puts another in their place."""

    def __init__(self, weights: Iterable[_Weight]) -> None:
        self._arrays = {weight: weight.array for weight in weights}

    @contextlib.contextmanager
    def seen(self) -> Iterator[None]:
        """Within, these weights have the numbers that they had, and what is derived from them follows."""
        token = _seen.set(self._arrays)
        try:
            yield
        finally:
            _seen.reset(token)


def snapshot_of(weight: object) -> Array | None:
    """The numbers that a weight had, where a snapshot of it is seen."""
    seen = _seen.get()
    return None if seen is None else seen.get(weight)
