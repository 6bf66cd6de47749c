"""Threads for what BLAS does not share out: NumPy's loops let go of Python's lock.

What is shared out does not depend on the number of threads, and no two write to the same place, so the results have the
same bits for any number.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextvars import ContextVar, copy_context
from functools import cache
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from dagir.support.blas_threads import shared_by

if TYPE_CHECKING:  # where they are used they are imported, since that takes a while
    from concurrent.futures import Future, ThreadPoolExecutor

Item = TypeVar("Item")
Result = TypeVar("Result")

SMALL = 1024 * 1024  # bytes, below which waking threads takes longer than they save
_PACE = 0.1  # seconds between two calls of what is done while waiting
_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


_inside: ContextVar[bool] = ContextVar("dagir_inside", default=False)  # work must not wait for its own threads


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
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(workers() - 1, thread_name_prefix="dagir")


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


def in_order(
    work: Callable[[Item], Result], items: Sequence[Item], meanwhile: Callable[[], None] = lambda: None, most: int = 64
) -> Generator[Result, None, None]:
    """The result of `work` for each item in turn; several threads compute those to come.

    What `work` raises is raised in the place of its result. meanwhile: called now and then, in the calling thread,
    while that waits. most: of the items that are computed at once. An item may use `for_each`. The threads end with the
    process, so an interrupt waits for none of them; where the iterator is closed, no further item is begun.
    """
    count = min(workers(), len(items), most)
    if count < 2:
        yield from map(work, items)
        return
    from concurrent.futures import Future, wait

    results: list[Future[Result]] = [Future() for _ in items]
    pending: SimpleQueue[tuple[Future[Result], Item]] = SimpleQueue()
    for pair in zip(results, items, strict=True):
        pending.put(pair)
    try:
        with shared_by(count):
            for _ in range(count):
                Thread(target=copy_context().run, args=(_fulfil, work, pending), daemon=True).start()
            for result in results:
                while not result.done():
                    wait((result,), _PACE)
                    meanwhile()
                yield result.result()
    finally:
        _empty(pending)


def _fulfil(work: Callable[[Item], Result], pending: SimpleQueue[tuple[Future[Result], Item]]) -> None:
    """Compute results until none is left to begin."""
    while True:
        try:
            result, item = pending.get_nowait()
        except Empty:
            return
        try:
            result.set_result(work(item))
        except BaseException as error:
            result.set_exception(error)


def _empty(queue: SimpleQueue[Item]) -> None:
    while True:
        try:
            queue.get_nowait()
        except Empty:
            return
