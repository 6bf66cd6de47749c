"""BLAS beside threads of our own: where several of these multiply at once, each has its share of BLAS's threads.

OpenBLAS has one team of threads, for which callers wait in turn, and which waits by spinning: two callers on two cores
take longer with it than each by itself, and several times as long where other processes use the cores too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

_lock = Lock()
_within: list[int] = []  # the numbers of callers of all that are now within `shared_by`


@cache
def _libraries() -> tuple[tuple[Any, int], ...]:
    """NumPy's BLAS and the threads that it has; none where threadpoolctl knows no way to set them."""
    from threadpoolctl import ThreadpoolController  # where it is used, as it doubles what `import dagir` takes

    return tuple((each, each.num_threads) for each in ThreadpoolController().select(user_api="blas").lib_controllers)


@contextmanager
def shared_by(callers: int) -> Iterator[None]:
    """Within, BLAS takes for each of so many threads its share of those that it has, at least one.

    This is a setting of the process: where several are within, the most callers decide, and the last one to leave sets
    what was there before the first came.
    """
    with _lock:
        if not _within:
            _libraries.cache_clear()
        _within.append(callers)
        _share()
    try:
        yield
    finally:
        with _lock:
            _within.remove(callers)
            _share()


def _share() -> None:
    callers = max(_within, default=1)
    for library, threads in _libraries():
        library.set_num_threads(max(1, threads // callers))
