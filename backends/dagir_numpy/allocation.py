"""How the C library keeps memory for the arrays of a run."""

from __future__ import annotations

from functools import cache

import numpy as np

_MOST = 31 * 1024 * 1024  # bytes; glibc adapts to blocks of less than 32 MiB, its DEFAULT_MMAP_THRESHOLD_MAX


@cache
def keep_freed_memory() -> None:
    """Have freed arrays stay with the process, for the next ones, once for all runs.

    glibc gives a block back to the system when it is freed, and takes a new one, page by page, for the next, until a
    block of that size was freed once: then it keeps up to twice as much (mallopt(3), M_MMAP_THRESHOLD). A network's
    arrays are small at first, so that this takes a while, and the pages cost a fifth of a run. One block of the largest
    size, which nothing touches, is what it would meet in time. Other C libraries do nothing of it.
    """
    np.empty(_MOST, np.uint8)
