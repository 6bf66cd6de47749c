"""Some hundred mutated files of every format, as tools/fuzz_files.py makes them by the hundred thousand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "fuzz_files.py"
COUNT = 150


def fuzz(*arguments):
    command = [sys.executable, str(TOOL), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture(scope="module")
def told():
    """What the tool prints of all formats: a line for each kind of finding, then a table."""
    done = fuzz("--count", str(COUNT), "--seed", "3", "--slack", "6", "--minutes", "30")
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "format",
    [
        "keras",
        "h5",
        "dagir",
        "weights",
        "savedmodel",
        "checkpoint",
        "onnx",
        "certificate",
        "pair",
    ],
)
def test_nothing_but_errors_of_dagir_comes_of_mutated_files(told, format):
    assert [line for line in told if line.startswith(f"{format}: ")] == []
    row = next(line for line in told if line.startswith(f"| {format} |"))
    _, inputs, _, read, refused, *findings, _ = (cell.strip() for cell in row.strip("|").split("|"))
    assert int(inputs) == COUNT
    assert int(read) > 0
    assert int(refused) > COUNT // 10
    assert findings == ["0"] * 4


def test_an_input_is_the_same_by_its_number():
    first, second = (fuzz("--format", "dagir", "--index", "12", "--seed", "1") for _ in range(2))
    assert first.stdout.splitlines()[0] == second.stdout.splitlines()[0] != ""
