"""Every script in examples/ runs as a reader would run it, in an empty folder."""

from __future__ import annotations

import asyncio
import importlib.util
import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "examples"
NEEDS = {
    "convert_own_model": ("keras", "onnxruntime"),
    "verify_other_export": ("onnxruntime",),
    "extract_and_fine_tune": ("tensorflow", "onnxruntime"),
    "low_precision": ("onnxruntime",),
    "serve": ("fastapi", "httpx", "onnxruntime"),
    "score_with_dask": ("dask.array", "onnxruntime"),
    "read_saved_model": ("tensorflow", "onnxruntime"),
    "add_an_op": ("onnxruntime",),
}
WRITES = {
    "convert_own_model": "digits.onnx",
    "verify_other_export": "theirs.onnx",
    "extract_and_fine_tune": "tuned.onnx",
    "low_precision": "int8.onnx",
    "read_saved_model": "scorer.onnx",
    "add_an_op": "shrunk.onnx",
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


def test_the_server_answers(tmp_path, monkeypatch):
    space = ran("serve", tmp_path, monkeypatch, as_main=False)
    import httpx

    async def posted(*bodies):
        transport = httpx.ASGITransport(space["app"])
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return [await client.post("/score", json={"rows": rows}) for rows in bodies]

    right, *wrong = asyncio.run(posted([[0, 1, 2, 3], [4, 5, 6, 7]], [[1, 2, 3]], [[1], [2, 3]], "rows"))
    assert right.status_code == 200 and len(right.json()["scores"]) == 2
    assert [each.status_code for each in wrong] == [422, 422, 422]
