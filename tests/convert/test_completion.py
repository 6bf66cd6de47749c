"""Completion in shells: names of the file on the line; and help that names no types that say nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dagir
from dagir import layers
from dagir_convert.command_line import app


@pytest.fixture
def folder(tmp_path, monkeypatch):
    x = dagir.Input((4, 4, 3), name="image")
    y = layers.Conv2D(2, 3, name="conv_a")(x)
    model = dagir.Model(x, layers.Dense(2, name="head")(layers.Conv2D(2, 1, name="conv_b")(y)))
    model.save(tmp_path / "net.dagir")
    dagir.to_onnx(model, tmp_path / "net.onnx")
    (tmp_path / "model.py").write_text("raise SystemExit('this was run')")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def completed(folder, monkeypatch, called):
    """What bash is offered behind these words; the last is what is typed so far."""

    def complete(*words):
        monkeypatch.setenv("_DAGIR_CONVERT_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", " ".join(("dagir-convert", *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        code, out, err = called()
        assert (code, err) == (0, "")
        return out.split()

    return complete


LINES = [
    (("extract", "net.dagir", "part.onnx", "--outputs", "co"), ["conv_a", "conv_b"]),
    (("extract", "net.dagir", "part.onnx", "--outputs", "head,conv_b"), ["head,conv_b"]),
    (("extract", "net.onnx", "part.onnx", "--inputs", "conv_a/Co"), ["conv_a/Conv"]),
    (("net.dagir", "net2.onnx", "--nchw", "i"), ["image"]),
    (("net.onnx", "net2.onnx", "--rename", "h"), ["head="]),
    (("net.dagir", "net2.onnx", "--input", "im"), ["image=batch,4,4,3"]),
    (("net.dagir", "net2.onnx", "--precision", "bf"), ["bfloat16"]),
    (("net.dagir", "net2.onnx", "--disable", "FoldBatch"), ["FoldBatchNorm"]),
    (("insp",), ["inspect"]),
    (("model.py:net", "net2.onnx", "--nchw", "i"), []),
    (("none.dagir", "net2.onnx", "--nchw", "i"), []),
]


@pytest.mark.parametrize(("words", "offered"), LINES, ids="-".join)
def test_names_of_the_file(completed, words, offered):
    assert completed(*words) == offered


@pytest.mark.parametrize(
    ("shell", "environment"),
    [
        ("zsh", {"_TYPER_COMPLETE_ARGS": "dagir-convert net.dagir n.onnx --nchw i"}),
        (
            "fish",
            {
                "_TYPER_COMPLETE_ARGS": "dagir-convert net.dagir n.onnx --nchw i",
                "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            },
        ),
    ],
)
def test_other_shells(folder, monkeypatch, called, shell, environment):
    for name, value in {"_DAGIR_CONVERT_COMPLETE": f"complete_{shell}", **environment}.items():
        monkeypatch.setenv(name, value)
    code, out, err = called()
    assert (code, err) == (0, "") and "image" in out and "head" not in out


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_itself(folder):
    """The script that is installed, run by bash."""
    tool = Path(sys.executable).with_name("dagir-convert")
    script = subprocess.run([tool, "--show-completion", "bash"], capture_output=True, text=True, check=True).stdout
    lines = (
        f"{script}\nCOMP_WORDS=(dagir-convert net.dagir n.onnx --nchw i); COMP_CWORD=4\n"
        f'_dagir_convert_completion "{tool}"; echo "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-c", lines], capture_output=True, text=True, check=True, env={**os.environ})
    assert (done.stdout.strip(), done.stderr) == ("image", "")


@pytest.mark.parametrize("command", ["", *(each.name or each.callback.__name__ for each in app.registered_commands)])
def test_the_help_names_no_types_that_say_nothing(called, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    code, out, _ = called(*command.split(), "--help")
    assert code == 0
    assert not [word for word in ("<bool>", "<float>", "<int>", "[[", "BOOLEAN") if word in out]
