"""The entry point of the command. It prints one line for an interrupt, also while Python imports the tool."""

from __future__ import annotations

import atexit
import gc
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from dagir_convert.blas_kernels import prefer_wide_kernels


def main() -> None:
    """Run dagir-convert."""
    prefer_wide_kernels()
    try:
        with _kept_for_good():
            from dagir_convert.command_line import main as run
    except KeyboardInterrupt:
        os.write(2, b"interrupted\n")
        os._exit(128 + signal.SIGINT)  # modules are half imported, so their exit handlers could fail
    run()


@contextmanager
def _kept_for_good() -> Iterator[None]:
    """What is made here stays until the process ends, so the search for garbage leaves it out, also at the end.

    It is a quarter of the processor's time of a small conversion otherwise.
    """
    atexit.register(gc.freeze)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
