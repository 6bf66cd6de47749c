"""dagir-convert, as a shell sees it: exit codes, files, messages."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from dagir_convert import targets
from faults.keras_files import write

SOURCE = """
import numpy as np
import dagir
from dagir import layers

def build():
    inputs = dagir.Input(shape=("time", 6), name="series")
    x = layers.Dense(8, activation="tanh", name="hidden")(inputs)
    model = dagir.Model(inputs, {"zeta": layers.Dense(3, name="last")(x), "alpha": x})
    rng = np.random.default_rng(0)
    for parameter in model.graph.parameters:
        parameter.assign(rng.normal(size=parameter.shape))
    return model

net = build()
number = 3

def sized(units):
    return build()

def broken():
    return layers.Dense(0)(net.inputs[0])

def crashes():
    raise RuntimeError("no data")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "model.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder, called):
    """The tool, in the folder."""
    return called


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")


def test_the_command_is_installed_and_converts(folder):
    script = Path(sys.executable).with_name("dagir-convert")
    done = subprocess.run(
        [script, "model.py:build", "net.onnx"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "zeta" in done.stdout
    assert "running model.py, which is code, for build" in done.stderr
    assert done.stdout.splitlines()[-1].startswith("net.onnx, ")
    session = onnxruntime.InferenceSession("net.onnx" if Path("net.onnx").exists() else folder / "net.onnx")
    zeta, alpha = session.run(["zeta", "alpha"], {"series": np.ones((2, 5, 6), "float32")})
    assert zeta.shape == (2, 5, 3)
    assert alpha.shape == (2, 5, 8)


@pytest.mark.parametrize("name", ["build", "net"])
def test_convert_is_the_default_command(run, folder, name):
    code, out, _ = run(f"model.py:{name}", "net.onnx")
    assert code == 0
    assert "ok" in out
    code, _, _ = run("convert", f"model.py:{name}", "again.onnx", "--opset", "18", "--quiet")
    assert code == 0
    assert onnx.load("again.onnx").opset_import[0].version == 18
    assert names(folder) == ["again.onnx", "model.py", "net.onnx"]


def test_a_second_conversion_gives_the_same_bytes(run):
    assert run("model.py:net", "net.dagir")[0] == 0
    for name in ("net.onnx", "again.onnx"):
        assert run("net.dagir", name)[0] == 0
    assert Path("net.onnx").read_bytes() == Path("again.onnx").read_bytes()
    assert b"dagir.certificate" in Path("net.onnx").read_bytes()


def test_options_may_come_first(run):
    assert run("--quiet", "model.py:net", "net.onnx") == (0, "", "")


def test_json(run):
    code, out, _ = run("model.py:build", "net.onnx", "--json")
    data = json.loads(out)
    assert code == 0
    assert data["ok"] is True
    assert data["target"] == "net.onnx"
    assert [row["output"] for row in data["outputs"]] == ["zeta", "alpha"]
    assert data["bytes"] == Path("net.onnx").stat().st_size


def test_without_verification_it_says_so(run):
    code, out, _ = run("model.py:build", "net.onnx", "--no-verify")
    assert code == 0
    assert "not verified" in out


def test_external_data_is_written_beside_and_found_again(run, folder):
    Path("model.py").write_text(SOURCE.replace('layers.Dense(8, activation="tanh"', "layers.Dense(64"))
    assert run("model.py:build", "net.onnx", "--external-data")[0] == 0
    assert names(folder) == ["model.py", "net.onnx", "net.onnx.data"]
    assert run("verify", "model.py:build", "net.onnx")[0] == 0
    code, _, err = run("model.py:build", "net.onnx", "--external-data")
    assert code == 2
    assert "net.onnx exists" in err
    Path("net.onnx").unlink()
    code, _, err = run("model.py:build", "net.onnx", "--external-data")
    assert code == 2
    assert "net.onnx.data exists" in err


def scaled_weight(model):
    kernel = next(tensor for tensor in model.graph.initializer if list(tensor.dims) == [6, 8])
    kernel.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(kernel) * np.float32(1.001), kernel.name))


def zeroed_bias(model):
    bias = next(tensor for tensor in model.graph.initializer if list(tensor.dims) == [3])
    bias.CopyFrom(numpy_helper.from_array(np.zeros(3, "float32"), bias.name))


def other_activation(model):
    next(node for node in model.graph.node if node.op_type == "Tanh").op_type = "Softsign"


FAULTS = [scaled_weight, zeroed_bias, other_activation]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_written_file_is_caught_and_nothing_is_left(run, folder, monkeypatch, fault):
    written = targets.write

    def write(model, path, options):
        written(model, path, options)
        proto = onnx.load(path)
        fault(proto)
        onnx.save(proto, path)

    monkeypatch.setattr(targets, "write", write)
    code, out, err = run("model.py:build", "net.onnx")
    assert code == 3
    assert "differs" in out
    assert "more than rounding explains" in err
    assert names(folder) == ["model.py"]
    code, out, _ = run("model.py:build", "net.onnx", "--json")
    assert code == 3
    assert json.loads(out)["ok"] is False
    Path("net.onnx").write_text("what was there")
    assert run("model.py:build", "net.onnx", "--force")[0] == 3
    assert Path("net.onnx").read_text() == "what was there"


@pytest.mark.parametrize("fault", FAULTS)
def test_verify_compares_two_that_exist(run, fault):
    assert run("model.py:build", "net.onnx", "--quiet") == (0, "", "")
    code, out, _ = run("verify", "model.py:build", "net.onnx", "--json")
    assert code == 0
    assert json.loads(out)["ok"] is True
    proto = onnx.load("net.onnx")
    fault(proto)
    onnx.save(proto, "net.onnx")
    code, out, err = run("verify", "model.py:build", "net.onnx", "--json")
    assert code == 3
    assert json.loads(out)["ok"] is False
    assert "net.onnx" in err


def test_a_dagir_file_on_the_way_keeps_the_model(run, folder):
    code, out, _ = run("model.py:build", "net.dagir")
    assert code == 0
    assert "exact" in out or "ok" in out
    code, _, err = run("net.dagir", "net.onnx")
    assert code == 0
    assert "running" not in err
    assert run("verify", "net.dagir", "net.onnx")[0] == 0
    assert run("verify", "model.py:build", "net.dagir")[0] == 0
    assert json.loads(run("inspect", "net.dagir", "--json")[1])["op_counts"] == {"Linear": 2, "Tanh": 1}
    assert names(folder) == ["model.py", "net.dagir", "net.onnx"]


def test_a_damaged_dagir_file_is_exit_code_5(run, folder):
    assert run("model.py:build", "net.dagir", "-q")[0] == 0
    whole = Path("net.dagir").read_bytes()
    Path("net.dagir").write_bytes(whole[:-10])
    code, _, err = run("net.dagir", "net.onnx")
    assert code == 5
    assert "net.dagir" in err
    assert names(folder) == ["model.py", "net.dagir"]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_inspect_a_keras_file(run, folder, suffix):
    code, out, err = run("inspect", write(folder / f"net{suffix}"), "--json")
    assert (code, err) == (0, "")
    assert len(json.loads(out)["weights"]) == 2


def test_inspect(run):
    run("model.py:build", "net.onnx", "--quiet")
    code, out, _ = run("inspect", "net.onnx")
    assert code == 0
    assert "series" in out
    assert "float32[batch, time, 6]" in out
    assert "83 parameters in 4 weights of 332 B" in out
    code, out, _ = run("inspect", "net.onnx", "--json")
    assert {each["name"]: (each["dtype"], each["shape"]) for each in json.loads(out)["outputs"]} == {
        "zeta": ("float32", ["batch", "time", 3]),
        "alpha": ("float32", ["batch", "time", 8]),
    }
    code, out, _ = run("inspect", "model.py:net", "--json")
    assert json.loads(out)["op_counts"] == {"Linear": 2, "Tanh": 1}


USAGE = [
    (("model.py", "net.onnx"), "model.py needs the name of a model", "write model.py:build or model.py:broken"),
    (("model.py:bild", "net.onnx"), "model.py defines no 'bild'", "model.py:build"),
    (("model.py:number", "net.onnx"), "number in model.py is of type int", "name a Model, or a function"),
    (("model.py:sized", "net.onnx"), "sized in model.py takes arguments", "a function without arguments"),
    (("model.py:crashes", "net.onnx"), "model.py:25 failed: RuntimeError: no data", ""),
    (("model.py:broken", "net.onnx"), "units", "model.py:22"),
    (("absent.py:net", "net.onnx"), "there is no file absent.py", ""),
    (("absent.dagir", "net.onnx"), "there is no file absent.dagir", ""),
    ((".", "net.onnx"), "is a directory", "file.py:name"),
    (("model.py:build", "net.tflite"), "net.tflite has no suffix that dagir writes", ".onnx, .keras, .dagir"),
    (("model.py:build", "absent/net.onnx"), "there is no directory absent", ""),
    (("model.py:build", "model.py/net.onnx"), "there is no directory model.py", ""),
    (("model.py:build", "net.onnx", "--opset", "99"), "opset 99 is not offered", "13 to 24"),
    (("model.py:build", "net.onnx", "--disable", "fold"), "there is no pass 'fold'", "passes: "),
    (("model.py:build", "net.keras", "--opset", "18"), "--opset is for .onnx targets", ""),
    (("model.py:build",), "TARGET", ""),
    (("model.py:build", "net.onnx", "--fast"), "--fast", ""),
]


@pytest.mark.parametrize(("arguments", "message", "remedy"), USAGE, ids=[" ".join(case[0]) for case in USAGE])
def test_wrong_use_is_exit_code_2_with_a_remedy(run, folder, arguments, message, remedy):
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert message in err
    assert remedy in err
    assert "site-packages" not in err
    assert names(folder) == ["model.py"]


def test_nothing_is_overwritten_unless_forced(run):
    Path("net.onnx").write_text("mine")
    code, _, err = run("model.py:build", "net.onnx")
    assert code == 2
    assert "net.onnx exists" in err
    assert "--force" in err
    assert Path("net.onnx").read_text() == "mine"
    assert run("model.py:build", "net.onnx", "--force", "-q")[0] == 0
    assert onnx.load("net.onnx").graph.name


def test_the_source_is_never_the_target(run):
    Path("net.dagir").write_bytes(b"precious")
    os.symlink("net.dagir", "link.dagir")
    for target in ("net.dagir", "./net.dagir", "link.dagir"):
        code, _, err = run("net.dagir", target, "--force")
        assert code == 2
        assert "the target is the source" in err
    assert Path("net.dagir").read_bytes() == b"precious"


def test_a_conversion_that_is_told_to_end_leaves_nothing(run, folder, monkeypatch):
    before = names(folder)
    monkeypatch.setattr(os, "replace", lambda *paths: os.kill(os.getpid(), signal.SIGTERM))
    assert run("model.py:build", "net.onnx", "--no-verify")[0] == 128 + signal.SIGTERM
    assert run("model.py:build", "net.dagir", "--no-verify")[0] == 128 + signal.SIGTERM
    assert names(folder) == before


def test_damaged_files_are_exit_code_5(run):
    Path("noise.onnx").write_bytes(b"\xff\x00noise" * 50)
    Path("empty.onnx").write_bytes(b"")
    for name in ("noise.onnx", "empty.onnx"):
        code, _, err = run("inspect", name)
        assert code == 5
        assert f"{name} is not an ONNX model" in err
        assert run("verify", "model.py:build", name)[0] == 5


def test_formats_that_are_not_read_are_exit_code_4_or_5(run, folder):
    Path("net.onnx").write_bytes(b"")
    code, _, err = run("net.onnx", "other.onnx")
    assert code in (4, 5)
    assert "onnx" in err
    assert names(folder) == ["model.py", "net.onnx"]


def test_a_custom_layer_goes_into_a_keras_file(run, folder):
    custom = """
class Scale(dagir.Layer):
    def build(self, shape):
        self.factor = self.add_weight(shape=(6,), name="factor")

    def call(self, x):
        return x * self.factor

x = dagir.Input(shape=(6,))
scaled = dagir.Model(x, Scale(name="scaled")(x))
"""
    Path("custom.py").write_text(SOURCE + custom)
    code, _, err = run("custom.py:scaled", "net.keras")
    assert code == 0, err
    assert run("custom.py:scaled", "net.onnx", "-q")[0] == 0
    assert names(folder) == ["custom.py", "model.py", "net.keras", "net.onnx"]


def test_what_keras_cannot_save_is_exit_code_4(run, folder):
    tied = """
x = dagir.Input(shape=(6,), dtype="int32")
embedding = dagir.layers.Embedding(9, 4, mask_zero=True)
steps = dagir.layers.LSTM(4, return_sequences=True)(embedding(x))
tied = dagir.Model(x, dagir.ops.matmul(steps, dagir.ops.transpose(embedding.embeddings)))
"""
    Path("tied.py").write_text(SOURCE + tied)
    code, _, err = run("tied.py:tied", "net.keras")
    assert code == 4
    assert "shares weight" in err
    assert "write a .dagir or an .onnx file" in err
    assert run("tied.py:tied", "net.onnx", "-q")[0] == 0
    assert names(folder) == ["model.py", "net.onnx", "tied.py"]


def test_help_teaches(run):
    code, out, _ = run("--help")
    assert code == 0
    for text in ("dagir-convert model.py:build model.onnx", "inspect", "Exit codes of all commands:"):
        assert text in out
    code, out, _ = run("convert", "--help")
    assert code == 0
    for text in ("--no-verify", "--opset", "--external-data", "--disable", "--force", "--quiet", "--json"):
        assert text in out
    assert run("--version")[1].startswith("dagir-convert ")


COMMANDS = ("convert", "extract", "plot", "sensitivity", "inspect", "diff", "verify")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_terminal_and_names_no_types(run, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run(command, "--help")
    assert code == 0
    for word in ("<str>", "<path>", "<bool>", "<float>", "[[", "TEXT"):
        assert word not in out
    lines = [line.rstrip() for line in out.splitlines()]
    assert max(map(len, lines)) <= 80
    prose = out[: out.index("─ Arguments")].split("\n")
    pairs = itertools.pairwise(prose)
    broken = [line for line, after in pairs if 0 < len(line.split()) <= 2 and after.strip()]
    assert broken == [], "a paragraph is broken where its source is, and not where the terminal ends"


def test_a_keras_target_is_loaded_again_and_verified(run, folder):
    code, out, err = run("model.py:build", "net.keras")
    assert code == 0, err
    assert "keras" in out
    assert names(folder) == ["model.py", "net.keras"]
    import keras

    loaded = keras.models.load_model("net.keras")
    assert [layer.name for layer in loaded.layers] == ["series", "hidden", "last"]
    assert run("verify", "model.py:build", "net.keras")[0] == 0
    loaded.get_layer("last").kernel.assign(loaded.get_layer("last").kernel * 1.001)
    loaded.save("net.keras")
    assert run("verify", "model.py:build", "net.keras")[0] == 3
