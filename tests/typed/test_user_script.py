"""dagir's types, seen from outside: a user's script passes `mypy --strict`, and mistakes planted in one are found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def checked(script: Path, cache: Path) -> str:
    """What mypy says of a file alone, dagir being a library whose own files are not its business."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--follow-imports=silent"]
    environment = {**os.environ, "MYPYPATH": os.pathsep.join([str(ROOT), str(ROOT / "backends")])}
    done = subprocess.run(
        [*command, f"--cache-dir={cache}", script.name],
        cwd=script.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr  # 2: mypy itself failed
    return done.stdout


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    pytest.importorskip("mypy")
    return tmp_path_factory.mktemp("mypy")


def test_a_user_s_script_type_checks(cache):
    assert checked(HERE / "script.py", cache).startswith("Success")


def test_and_nothing_in_it_is_untyped(cache, tmp_path):
    names = {"x": "Value", "out": "Value", "model": "Model", "report": "Report", "features": "Model"}
    names |= {"wider": "Model", "read": "Model", "losses": "list[float]", "path": "Path"}
    script = tmp_path / "revealing.py"
    script.write_text((HERE / "script.py").read_text() + "".join(f"reveal_type({name})\n" for name in names))
    revealed = re.findall(r'Revealed type is "(?:[\w.]*\.)?(\w+(?:\[.*\])?)"', checked(script, cache))
    assert revealed == list(names.values())


def test_planted_mistakes_are_found(cache):
    planted = {n for n, line in enumerate((HERE / "planted.py").read_text().splitlines(), 1) if "# E:" in line}
    assert len(planted) >= 10
    found = re.findall(r"^planted\.py:(\d+): error:", checked(HERE / "planted.py", cache), re.MULTILINE)
    assert set(map(int, found)) == planted


def test_the_script_runs(tmp_path):
    pytest.importorskip("keras")
    pytest.importorskip("onnxruntime")
    done = subprocess.run(
        [sys.executable, str(HERE / "script.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert {each.name for each in tmp_path.iterdir()} >= {"digits.onnx", "digits.dagir", "features.keras"}
