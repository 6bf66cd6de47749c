"""Report the progress of a verification to a listener."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, get_ident
from typing import TypeAlias

from dagir.errors import ArgumentError

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, and how many evaluations of how many are done."""


class Meter:
    """Counts evaluations, also of other threads. The total grows if more evaluations turn out to be needed.

    The listener is called in the thread that made the meter: `tell` there says what other threads have done.
    """

    def __init__(self, listener: Progress | None = None) -> None:
        if listener is not None and not callable(listener):
            raise ArgumentError(
                f"progress takes a function, got a {type(listener).__name__}",
                remedy="progress=lambda stage, done, total: print(stage, done, total)",
            )
        self._listener = listener
        self._stage, self._done, self._total = "", 0, 0
        self._lock, self._thread, self._told = Lock(), get_ident(), (-1, -1)

    def expect(self, evaluations: int) -> None:
        """Add to the number of evaluations to come."""
        with self._lock:
            self._total += evaluations

    def begin(self, stage: str) -> None:
        """Begin a stage: it names what the next evaluations are for."""
        self._stage, self._told = stage, (-1, -1)
        self.tell()

    def tick(self) -> None:
        """Count one evaluation as done."""
        with self._lock:
            self._done += 1
        self.tell()

    def tell(self) -> None:
        """Tell the listener if there is something new."""
        now = self._done, max(self._done, self._total)
        if self._listener is not None and now != self._told and get_ident() == self._thread:
            self._told = now
            self._listener(self._stage, *now)
