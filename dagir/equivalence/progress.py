"""Report the progress of a verification to a listener."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from dagir.errors import ArgumentError

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, and how many evaluations of how many are done."""


class Meter:
    """Counts evaluations. The total grows if more evaluations turn out to be needed."""

    def __init__(self, listener: Progress | None = None) -> None:
        if listener is not None and not callable(listener):
            raise ArgumentError(
                f"progress takes a function, got a {type(listener).__name__}",
                remedy="progress=lambda stage, done, total: print(stage, done, total)",
            )
        self._listener = listener
        self._stage, self._done, self._total = "", 0, 0

    def expect(self, evaluations: int) -> None:
        """Add to the number of evaluations to come."""
        self._total += evaluations

    def begin(self, stage: str) -> None:
        """Begin a stage: it names what the next evaluations are for."""
        self._stage = stage
        self._tell()

    def tick(self) -> None:
        """Count one evaluation as done."""
        self._done += 1
        self._tell()

    def _tell(self) -> None:
        if self._listener is not None:
            self._listener(self._stage, self._done, max(self._done, self._total))
