"""Threads for what BLAS does not share out: NumPy's loops let go of Python's lock.

The blocks of work do not depend on the number of threads, and no two write to the same place, so the results have the
same bits for any number.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from functools import cache
from typing import TypeVar

Item = TypeVar("Item")

SMALL = 1024 * 1024  # bytes, below which waking threads takes longer than they save
_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


_inside: ContextVar[bool] = ContextVar("dagir_numpy_inside", default=False)  # work must not wait for its own threads


@cache
def workers() -> int:
    """The number of threads: what the environment gives BLAS, or the cores that this process may use."""
    for name in _VARIABLES:
        value = os.environ.get(name, "")
        if value.isdecimal() and int(value) > 0:
            return int(value)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """The threads of a process: a fork has none of its parent's."""
    return ThreadPoolExecutor(workers() - 1, thread_name_prefix="dagir_numpy")


def for_each(work: Callable[[Item], None], items: Sequence[Item], size: int) -> None:
    """Call `work` with every item; at once in several threads where `size`, in bytes, is large. Raises what it raises.

    The calling thread takes its share; NumPy's error state, and other context, is that of the caller in all threads.
    """
    count = min(workers(), len(items))
    if count < 2 or size < SMALL or _inside.get():
        for item in items:
            work(item)
        return

    def share(first: int) -> None:
        _inside.set(True)
        for item in items[first::count]:
            work(item)

    others = [_pool(os.getpid()).submit(copy_context().run, share, first) for first in range(1, count)]
    try:
        copy_context().run(share, 0)
    finally:
        for other in others:
            other.exception()  # waits: nobody writes into the arrays after this
    for other in others:
        other.result()
