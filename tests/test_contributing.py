"""What CONTRIBUTING.md names is there: files, functions in them, commits' files by today's names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PATHS = sorted(
    set(re.findall(r"`((?:dagir|backends|tools|tests)/[\w/.]*)`", TEXT)) | set(re.findall(r"^\+\+\+ (\S+)", TEXT, re.M))
)


def test_paths_were_found():
    assert len(PATHS) > 30


@pytest.mark.parametrize("path", PATHS)
def test_the_path_is_there(path):
    assert (ROOT / path).exists(), f"CONTRIBUTING.md names {path}"


@pytest.mark.parametrize("path, name", re.findall(r"`([\w/]+\.py)`, `(\w+)`", TEXT))
def test_the_function_is_in_the_file(path, name):
    assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")


def test_every_floor_is_described():
    floors = {path.name for path in (ROOT / "dagir").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {floor for floor in floors if f"`{floor}/`" not in TEXT} == set()
