"""What `predict` shows: a bar on a terminal or in a notebook, and one line that names the backend."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from dagir.errors import ArgumentError

Tell = Callable[[int], None]


@contextmanager
def progress(verbose: str | int, chosen: str, total: int | None) -> Iterator[Tell]:
    """What is called after each batch with its number of rows. Raises ArgumentError for another `verbose`.

    verbose: "auto" shows a bar and a line where someone looks on, 1 a line also elsewhere, 2 the line alone, 0 nothing.
    chosen: what the line says of the backend. total: the number of batches, None where a stream does not tell.
    """
    if verbose not in ("auto", 0, 1, 2):
        raise ArgumentError(f"predict takes 'auto', 0, 1 or 2 for verbose, got {verbose!r}")
    watched = verbose in ("auto", 1) and _is_watched()
    if not watched and verbose in ("auto", 0):
        yield lambda rows: None
        return
    start, counted = time.perf_counter(), 0
    with _bar(chosen.partition(";")[0], total) if watched and _is_drawn() else _nothing() as advance:

        def tell(rows: int) -> None:
            nonlocal counted
            counted += rows
            advance()

        yield tell
    took = time.perf_counter() - start
    print(f"predicted {counted:,} rows in {took:.2f} s on {chosen}", file=sys.stderr, flush=True)


def _is_watched() -> bool:
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def _is_drawn() -> bool:
    """Whether a bar can be: in a notebook rich needs ipywidgets, and warns of each bar without it."""
    return sys.stderr.isatty() or find_spec("ipywidgets") is not None


@contextmanager
def _nothing() -> Iterator[Callable[[], None]]:
    yield lambda: None


@contextmanager
def _bar(backend: str, total: int | None) -> Iterator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"predicting on {backend}", total=total)
        yield lambda: bar.advance(task)
