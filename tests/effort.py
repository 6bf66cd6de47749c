"""The work of a call in what is the same on every machine, however busy: steps instead of seconds, and bytes."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType


def steps(work: Callable[[], object]) -> int:
    """How many calls of functions, of Python and built in, `work` makes on this thread."""
    count = 0

    def one_more(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(one_more)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def rounds(work: Callable[[], object]) -> int:
    """How many lines of Python `work` runs on this thread, a line once more for each round of a loop on it."""
    count = 0

    def one_more(frame: FrameType, event: str, argument: object) -> Callable[..., object]:
        nonlocal count
        count += event == "line"
        return one_more

    before = sys.gettrace()
    sys.settrace(one_more)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def allocated(work: Callable[[], object]) -> int:
    """How many bytes `work` holds at its peak, of Python and NumPy."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
