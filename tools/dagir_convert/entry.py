"""Where the command begins: an interrupt while Python still imports the tool is one line too."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Run dagir-convert."""
    try:
        from dagir_convert.command_line import main as run
    except KeyboardInterrupt:
        os.write(2, b"interrupted\n")
        os._exit(128 + signal.SIGINT)  # modules are half-made, and their own ends could fail
    run()
