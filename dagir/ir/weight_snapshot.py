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
    """The arrays of weights, not copied: nobody writes into an array, and `assign` replaces it."""

    def __init__(self, weights: Iterable[_Weight]) -> None:
        self._arrays = {weight: weight.array for weight in weights}

    @contextlib.contextmanager
    def seen(self) -> Iterator[None]:
        """Inside the `with` block these weights, and arrays derived from them, have the numbers of the snapshot."""
        token = _seen.set(self._arrays)
        try:
            yield
        finally:
            _seen.reset(token)


def snapshot_of(weight: object) -> Array | None:
    """The array of a weight in the active snapshot; None if there is none."""
    seen = _seen.get()
    return None if seen is None else seen.get(weight)
