"""Every script in examples/ runs as a reader would run it, in an empty folder."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parent.parent / "examples"
NEEDS = {
    "convert_own_model": ("keras", "onnxruntime"),
    "verify_other_export": ("onnxruntime",),
    "extract_and_fine_tune": ("tensorflow", "onnxruntime"),
    "low_precision": ("onnxruntime",),
    "serve": ("fastapi", "httpx", "onnxruntime"),
    "score_with_dask": ("dask.array", "distributed", "onnxruntime"),
    "read_saved_model": ("tensorflow", "onnxruntime"),
    "add_an_op": ("onnxruntime",),
    "own_rnn_cell": ("onnxruntime",),
    "train_then_deploy": ("tensorflow", "onnxruntime"),
}
APART = {"score_with_dask": ["2000", "500", "2"]}  # smaller, in a process of its own, which starts others
WRITES = {
    "convert_own_model": "digits.onnx",
    "verify_other_export": "theirs.onnx",
    "extract_and_fine_tune": "tuned.onnx",
    "low_precision": "int8.onnx",
    "read_saved_model": "scorer.onnx",
    "add_an_op": "shrunk.onnx",
    "own_rnn_cell": "own_cell.onnx",
    "train_then_deploy": "circle.onnx",
}


def is_there(package):
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def ran(name, folder, monkeypatch, as_main=True):
    """The names that a script leaves; skipped where a package that it needs is not installed."""
    missing = [package for package in NEEDS[name] if not is_there(package)]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    monkeypatch.chdir(folder)
    if name in APART:
        command = [sys.executable, str(FOLDER / f"{name}.py"), *APART[name]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        print(done.stdout)
        return {}
    return runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__" if as_main else name)


def test_every_script_is_listed():
    names = {path.stem for path in FOLDER.glob("*.py")}
    assert names == set(NEEDS)
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [name for name in names if f"`{name}.py`" not in page] == []


@pytest.mark.parametrize("name", sorted(set(NEEDS) - {"serve"}))
def test_a_script_runs(name, tmp_path, monkeypatch, capsys):
    ran(name, tmp_path, monkeypatch)
    assert capsys.readouterr().out.strip()
    assert name not in WRITES or (tmp_path / WRITES[name]).exists()


NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_no_outputs_and_is_listed(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []
    assert f"`{path.name}`" in (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.mark.skipif(not is_there("nbclient") or not is_there("ipykernel"), reason="nothing here runs notebooks")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path):
    run = (
        "import sys, nbformat, nbclient\n"
        "book = nbformat.read(sys.argv[1], as_version=4)\n"
        "nbclient.NotebookClient(book, timeout=300, kernel_name='python3').execute()\n"
        "print(*(each['text'] for cell in book.cells for each in cell.get('outputs', ()) if 'text' in each))"
    )
    command = [sys.executable, "-c", run, str(path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search("budget used|harm", done.stdout), "tables that are printed are shown in notebooks too"


@pytest.mark.skipif(not is_there("distributed"), reason="distributed is not installed")
def test_a_worker_that_is_killed_changes_no_bit():
    bench = FOLDER.parent / "tools" / "bench" / "many_rows.py"
    command = [sys.executable, str(bench), "--rows", "800", "--block", "20", "--workers", "2", "--backends", "onnx"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the same bits: True") == 2 and "one of them killed" in done.stdout, done.stdout


def test_the_server_answers(tmp_path, monkeypatch):
    space = ran("serve", tmp_path, monkeypatch, as_main=False)
    import httpx

    async def posted(*bodies):
        transport = httpx.ASGITransport(space["app"])
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return [await client.post("/score", json={"rows": rows}) for rows in bodies]

    right, *wrong = asyncio.run(posted([[0, 1, 2, 3], [4, 5, 6, 7]], [[1, 2, 3]], [[1], [2, 3]], [], "rows"))
    assert right.status_code == 200 and len(right.json()["scores"]) == 2
    assert [each.status_code for each in wrong] == [422, 422, 422, 422]
    said = [each.json()["detail"] for each in wrong]
    assert "features" in said[0] and "the same number of values" in said[1] and said[1] == said[2]


def test_workers_of_the_server_answer_alike(tmp_path, monkeypatch):
    """Each imports the script anew: weights that are drawn there would be others in each of them."""
    first, second = (ran("serve", tmp_path, monkeypatch, as_main=False) for _ in range(2))
    rows = np.arange(8, dtype="float32").reshape(2, 4)
    assert np.array_equal(first["executable"](rows), second["executable"](rows))


@pytest.mark.parametrize("knows", [True, False])
def test_the_server_gives_its_workers_time_where_uvicorn_can(knows, tmp_path, monkeypatch):
    """On a busy machine imports take more than the 5 s after which uvicorn ends a worker that does not answer."""
    pytest.importorskip("fastapi")
    uvicorn, asked = pytest.importorskip("uvicorn"), {}

    def newer(app, workers, port, access_log, timeout_worker_healthcheck=5):
        asked.update(workers=workers, patience=timeout_worker_healthcheck)

    def older(app, workers, port, access_log):
        asked.update(workers=workers, patience=None)

    monkeypatch.setattr(uvicorn, "run", newer if knows else older)
    monkeypatch.setattr(sys, "argv", ["serve.py", "--workers", "3"])
    ran("serve", tmp_path, monkeypatch)
    assert asked == {"workers": 3, "patience": 60 if knows else None}
