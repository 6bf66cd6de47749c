"""The entry point of the command. It prints one line for an interrupt, also while Python imports the tool."""

from __future__ import annotations

import os
import signal

from dagir_convert.blas_kernels import prefer_wide_kernels


def main() -> None:
    """Run dagir-convert."""
    prefer_wide_kernels()
    try:
        from dagir_convert.command_line import main as run
    except KeyboardInterrupt:
        os.write(2, b"interrupted\n")
        os._exit(128 + signal.SIGINT)  # modules are half imported, so their exit handlers could fail
    run()
