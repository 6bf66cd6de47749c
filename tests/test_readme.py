"""Everything the README shows is run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
sys.path.insert(0, str(ROOT / "tools"))


def test_the_tour_can_be_pasted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    snippets = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    shown = re.search(r"```text\n(.*?)```", README, flags=re.S)[1]
    space = {}
    for snippet in snippets:
        capsys.readouterr()
        exec(compile(snippet, "tour.py", "exec"), space)
        if "dagir.ShapeError" in snippet:
            printed = capsys.readouterr().out
    assert re.sub(r"tour\.py:\d+", "tour.py", printed) == re.sub(r"tour\.py:\d+", "tour.py", shown)


def test_quick_start_has_two_blocks_and_the_first_converts(tmp_path):
    from readme_block import quick_start

    main, tests = quick_start(README)
    assert tests.strip().endswith("pytest -n 2")
    command = main.strip().splitlines()[-1].split()
    tool = Path(sys.executable).with_name("dagir-convert")
    assert command[0] == ".venv/bin/dagir-convert"
    source, target = ROOT / command[1].split(":")[0], tmp_path / "toy_resnet.onnx"
    command = [str(tool), f"{source}:model", str(target), *command[3:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "classes" in done.stdout

    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / "toy_resnet.onnx"))
    (answer,) = session.run(None, {"img": np.zeros((2, 32, 32, 3), "float32")})
    assert answer.shape == (2, 10)


def test_the_support_table_is_up_to_date():
    from op_table import written

    assert written(README) == README, "run: python tools/op_table.py --write"


def test_a_readme_that_lost_a_block_is_noticed():
    from readme_block import quick_start

    with pytest.raises(ValueError, match="exactly two"):
        quick_start("## Quick start\n```sh\nls\n```\n")
