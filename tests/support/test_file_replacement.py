"""What is written replaces nothing unasked, never a device, and a pair as one or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import dagir
from dagir import layers
from dagir.errors import FileError
from dagir.support.file_replacement import check_free, put


def net(factor=1.0):
    dagir.clear_session()
    x = dagir.Input((64,), name="x")
    model = dagir.Model(x, layers.Dense(32, name="head")(x), name="net")
    for weight in model.weights:
        weight.assign(np.random.default_rng(0).normal(0, factor, weight.shape))
    return model


@pytest.fixture
def differing():
    """A report of two models that differ."""
    return dagir.verify(net(), {"other": net(2.0)})


@pytest.mark.parametrize("end", ["pipe", "link", "folder"])
@pytest.mark.parametrize("write", ["html", "onnx", "dagir", "keras", "plot"])
def test_only_plain_files_are_replaced(end, write, tmp_path, monkeypatch, differing):
    monkeypatch.chdir(tmp_path)
    suffix = {"html": ".html", "plot": ".dot"}.get(write, f".{write}")
    path = Path(f"end{suffix}")
    if end == "pipe":
        os.mkfifo(path)
    elif end == "folder":
        path.mkdir()
    else:
        os.mkfifo("pipe")
        path.symlink_to("pipe")
    before = os.stat(path)
    writers = {
        "html": lambda: differing.write_html(path),
        "onnx": lambda: dagir.to_onnx(net(), path),
        "dagir": lambda: net().save(path),
        "keras": lambda: dagir.lower(net(), "keras").save(path),
        "plot": lambda: dagir.plot(net(), path),
    }
    with pytest.raises(FileError, match=r"is no plain file|is a folder"):
        writers[write]()
    after = os.stat(path)
    assert (after.st_mode, after.st_ino) == (before.st_mode, before.st_ino)
    assert sorted(os.listdir()) == [path.name, *(["pipe"] if end == "link" else [])]


def test_a_device_is_no_plain_file():
    """Asked of the check alone: a test that wrote there would take the device away, if it failed."""
    for overwrite in (False, True):
        with pytest.raises(FileError, match="is no plain file"):
            check_free(os.devnull, overwrite)


def test_a_reproduction_leaves_the_files_of_others_alone(tmp_path, differing):
    folder = tmp_path / "found"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    differing.write_reproduction(folder)
    for name in ("model.dagir", "inputs.npz", "reproduce.py", "versions.json"):
        (folder / name).write_text("mine")
        with pytest.raises(FileError, match="exists"):
            differing.write_reproduction(folder)
        assert (folder / name).read_text() == "mine"
    differing.write_reproduction(folder, overwrite=True)
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "reproduce.py").read_text() != "mine"
    assert not [name for name in os.listdir(folder) if name.startswith(".")]


def test_a_reproduction_has_a_folder_or_says_so(tmp_path, differing):
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "within"):
        with pytest.raises(FileError):
            differing.write_reproduction(folder)
    assert (tmp_path / "file").read_text() == "mine"


def interrupted(monkeypatch, at):
    """The disk fails, or the user stops, as the n-th file is put in place."""
    real, calls = os.replace, []

    def replace(start, end):
        if not str(start).endswith(".before"):
            calls.append(end)
            if len(calls) == at:
                raise (OSError(28, "No space left on device") if at == 2 else KeyboardInterrupt)
        real(start, end)

    monkeypatch.setattr(os, "replace", replace)


@pytest.mark.parametrize(("at", "error"), [(2, FileError), (1, KeyboardInterrupt)])
@pytest.mark.parametrize("there", [True, False])
def test_a_pair_is_replaced_as_one_or_not(tmp_path, monkeypatch, at, error, there):
    path, x = tmp_path / "net.onnx", np.ones((1, 64), "float32")
    before = {}
    if there:
        dagir.to_onnx(net(), path, external_data=True)
        before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
        assert len(before) == 2
    interrupted(monkeypatch, at)
    with pytest.raises(error):
        dagir.to_onnx(net(2.0), path, external_data=True)
    monkeypatch.undo()
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    if there:
        (answer,) = onnxruntime.InferenceSession(str(path)).run(None, {"x": x})
        assert np.allclose(answer, dagir.lower(net(), "numpy")(x), atol=1e-4)


def test_what_another_wrote_meanwhile_stays(tmp_path):
    (tmp_path / "new").write_text("new")
    (tmp_path / "there").write_text("mine")
    with pytest.raises(FileError, match="exists"):
        put([(tmp_path / "new", tmp_path / "there")], overwrite=False)
    assert (tmp_path / "there").read_text() == "mine"
    put([(tmp_path / "new", tmp_path / "free")], overwrite=False)
    assert (tmp_path / "free").read_text() == "new" and not (tmp_path / "new").exists()


def test_the_tool_replaces_nothing_unasked(tmp_path):
    net().save(tmp_path / "a.dagir")
    net(2.0).save(tmp_path / "b.dagir")
    page, found = tmp_path / "page.html", tmp_path / "found"
    found.mkdir()
    page.write_text("mine")
    (found / "reproduce.py").write_text("mine")

    def tool(*options):
        command = [
            sys.executable,
            "-m",
            "dagir_convert.command_line",
            "verify",
            "a.dagir",
            "b.dagir",
            *map(str, options),
        ]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    for options in (["--html", page], ["--reproduce", found]):
        done = tool(*options)
        assert done.returncode == 2 and "exists" in done.stderr and "--force" in done.stderr
    assert page.read_text() == (found / "reproduce.py").read_text() == "mine"
    assert tool("--html", page, "--reproduce", found, "--force").returncode == 3
    assert page.read_text() != "mine" and (found / "reproduce.py").read_text() != "mine"
    os.mkfifo(tmp_path / "pipe")
    done = tool("--html", "pipe", "--force")
    assert done.returncode == 5 and "is no plain file" in done.stderr
    assert (tmp_path / "pipe").is_fifo()
