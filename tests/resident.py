"""Peaks of a process's memory by Linux's /proc, the C libraries' memory included."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

_CLEAR = Path("/proc/self/clear_refs")
# glibc's malloc: what is let go of goes back at once. Else it is kept for later or not by what was asked for before,
# and the same script peaks at one copy of its weights or at two.
_STEADY = {"MALLOC_MMAP_THRESHOLD_": "65536", "TF_CPP_MIN_LOG_LEVEL": "3"}

needs_proc = pytest.mark.skipif(not _CLEAR.exists(), reason="peak memory is read from Linux's /proc")


def resident(field: str = "VmRSS") -> int:
    """Bytes of this process: resident now (VmRSS), or at most since `forget_peak` (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def forget_peak() -> int:
    """Begin a peak anew; returns the bytes resident now."""
    gc.collect()
    _CLEAR.write_text("5")
    return resident()


def printed(script: str | Path, *arguments: object) -> str:
    """What a script (its text, or its file) prints, run in a process of its own where memory can be measured."""
    what = [str(script)] if isinstance(script, Path) else ["-c", script]
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *what, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **_STEADY, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
