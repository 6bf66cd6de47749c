"""The exit codes of the tool: one table in its help, the same for every command."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import dagir
from dagir import errors, layers
from dagir_convert.command_line import main
from dagir_convert.help_texts import FAULT, HELP

COMMANDS = {
    "convert": ("SOURCE", "new.onnx"),
    "extract": ("SOURCE", "new.onnx", "--outputs", "head"),
    "plot": ("SOURCE", "new.dot"),
    "sensitivity": ("SOURCE",),
    "inspect": ("SOURCE",),
    "diff": ("net.dagir", "SOURCE"),
    "verify": ("SOURCE", "net.onnx"),
}


def build(scale=1.0):
    x = dagir.Input((4,), name="x")
    model = dagir.Model(x, layers.Dense(3, name="head")(x), name="net")
    model.weights[0].assign(np.full((4, 3), scale, "float32"))
    return model


@pytest.fixture
def run(tmp_path, monkeypatch, called):
    """A command on a source, with more options; its exit code."""
    monkeypatch.chdir(tmp_path)
    build().save("net.dagir")
    build(2.0).save("other.dagir")
    dagir.to_onnx(build(), "net.onnx", verify=True)
    Path("damaged.dagir").write_bytes(b"damaged")
    Path("fails.py").write_text("def model():\n    raise ValueError('mine')\n")
    np.save("x.npy", np.ones((2, 4), "float32"))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])
        for name, size in (("x", 4), ("head", 3))
    ]
    graph = helper.make_graph([helper.make_node("Foo", ["x"], ["head"], "foo")], "g", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), "refused.onnx")

    def call(command, source, *options):
        words = [source if word == "SOURCE" else word for word in COMMANDS[command]]
        quiet = {"inspect": "--json", "convert": "--force", "extract": "--force", "plot": "--force"}.get(command, "-q")
        return called(command, *words, quiet, *options)[0]

    return call


def test_the_table_has_every_code():
    told = {int(code) for code in re.findall(r"^  (\d+)  ", HELP, flags=re.M)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, dagir.DagirError)]
    assert {kind.exit_code for kind in kinds} | {0, 1, FAULT, 130} == told


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command(command, run):
    assert run(command, "net.dagir") == 0
    assert run(command, "absent.dagir") == 2
    assert run(command, "net.dagir", "--no-such-option") == 2
    assert run(command, "fails.py:model") == 2
    assert run(command, "damaged.dagir") == 5


@pytest.mark.parametrize("command", ["convert", "extract", "plot", "sensitivity", "verify"])
def test_what_is_refused(command, run):
    assert run(command, "refused.onnx") == 4


@pytest.mark.parametrize("command", ["convert", "extract", "sensitivity", "diff", "verify"])
def test_a_file_of_samples(command, run):
    options = ("--precision", "float16") if command in ("convert", "extract") else ()
    name = "--inputs" if command in ("diff", "verify") else "--calibrate"
    assert run(command, "net.dagir", *options, name, "x.npy") == 0
    assert run(command, "net.dagir", *options, name, "absent.npy") == 2


def test_what_differs(run):
    assert run("diff", "net.dagir") == 0
    assert run("diff", "other.dagir") == 1
    assert run("verify", "other.dagir") == 3


def test_a_fault_of_dagir_is_no_difference(run, monkeypatch, capsys):
    def fail(*_, **__):
        raise RuntimeError("a slip")

    monkeypatch.setattr("dagir_convert.diffing.diff", fail)
    monkeypatch.setattr("sys.argv", ["dagir-convert", "diff", "net.dagir", "net.dagir"])
    with pytest.raises(SystemExit) as left:
        main()
    err = capsys.readouterr().err
    assert left.value.code == FAULT and "RuntimeError: a slip" in err and "please report it" in err
