"""dagir-convert verify: pairs of files, the certificate, the first node that diverges."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import dagir
from dagir import layers


def tool(*arguments):
    command = [sys.executable, "-m", "dagir_convert.command_line", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model as .dagir and .onnx, and an .onnx with one weight changed."""
    folder = tmp_path_factory.mktemp("models")
    dagir.clear_session()
    words = dagir.Input(("time",), dtype="int32", name="words")
    x = layers.LSTM(5, name="memory")(layers.Embedding(50, 4, mask_zero=True, name="table")(words))
    model = dagir.Model(words, layers.Dense(3, activation="softmax", name="head")(x), name="reader")
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(0, 0.7, weight.shape))
    model.save(folder / "right.dagir")
    done = tool("convert", folder / "right.dagir", folder / "right.onnx")
    assert done.returncode == 0, done.stderr
    proto = onnx.load(folder / "right.onnx")
    for tensor in proto.graph.initializer:
        if tensor.name == "head/kernel":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.01), tensor.name))
    onnx.save(proto, folder / "wrong.onnx")
    return folder


def test_a_right_file_passes(folder):
    done = tool("verify", folder / "right.dagir", folder / "right.onnx", "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["ok"] and data["first_divergence"] is None
    assert data["outputs"][0]["budget_used_percent"] < 100


@pytest.mark.parametrize("turned", [False, True])
def test_a_wrong_file_is_told_by_its_node(folder, turned, tmp_path):
    pair = [folder / "right.dagir", folder / "wrong.onnx"]
    done = tool(
        "verify", *(pair[::-1] if turned else pair), "--json", "--reproduce", tmp_path, "--html", tmp_path / "r.html"
    )
    assert done.returncode == 3
    found = json.loads(done.stdout)["first_divergence"]
    assert (found["node"], found["layer"]) == ("head/Gemm", "head")
    assert "head/Gemm" in done.stderr
    assert {"r.html", "model.onnx", "model.dagir", "reproduce.py"} <= {path.name for path in tmp_path.iterdir()}
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert f"<code>dagir-convert verify {' '.join(map(str, pair[::-1] if turned else pair))} --json" in page


@pytest.mark.parametrize("suffix", [".dagir", ".keras", ".h5"])
def test_the_reproduction_holds_the_other_file_s_part(folder, suffix, tmp_path):
    model = dagir.load(folder / "right.dagir")
    kernel = next(weight for weight in model.weights if weight.name == "head/kernel")
    kernel.assign(kernel.array * np.float32(1.01))
    other = tmp_path / f"wrong{suffix}"
    if suffix == ".dagir":
        model.save(other)
    else:
        dagir.to_keras(model).save(other)
    done = tool("verify", folder / "right.dagir", other, "--reproduce", tmp_path / "found")
    assert done.returncode == 3
    script = [sys.executable, "reproduce.py"]
    out = subprocess.run(script, cwd=tmp_path / "found", capture_output=True, text=True, check=True)
    assert float(out.stdout.split()[-1]) > 1e-4


def test_two_onnx_files_are_compared_without_an_oracle(folder):
    same = tool("verify", folder / "right.onnx", folder / "right.onnx", "--json")
    assert same.returncode == 0, same.stderr
    done = tool("verify", folder / "right.onnx", folder / "wrong.onnx", "--json")
    assert done.returncode == 3
    data = json.loads(done.stdout)
    assert data["judgement"].startswith("no float64 oracle")
    assert data["first_divergence"]["node"] == "head/Gemm"
    assert data["first_divergence"]["layer"] == "head"


def test_what_cannot_be_written_does_not_hide_that_two_files_differ(folder, tmp_path):
    done = tool("verify", folder / "right.onnx", folder / "wrong.onnx", "--reproduce", tmp_path / "out")
    assert done.returncode == 3
    assert "not written" in done.stderr and "no float64 oracle" in done.stderr
    unwritable = tool("verify", folder / "right.dagir", folder / "wrong.onnx", "--html", tmp_path / "no" / "r.html")
    assert unwritable.returncode == 3


def test_two_files_and_a_certificate_have_a_page(folder, tmp_path):
    for number, (code, *names) in enumerate([(3, "right", "wrong"), (0, "right", "right"), (0, "right")]):
        path = tmp_path / f"{number}.html"
        done = tool("verify", *(folder / f"{name}.onnx" for name in names), "--html", path)
        assert done.returncode == code and "<h2>Outputs" in path.read_text(encoding="utf-8"), done.stderr


def test_the_certificate_is_run_again_and_a_changed_file_is_refused(folder):
    done = tool("verify", folder / "right.onnx", "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert "certificate" in data["judgement"] and len(data["cases"]) == 4
    held = {entry.key: entry.value for entry in onnx.load(folder / "right.onnx").metadata_props}
    held = json.loads(held["dagir.certificate"])
    assert held["with"] == "the float64 evaluation of right.dagir"
    assert 0 < held["worst_budget_used_percent"] < 100
    changed = tool("verify", folder / "wrong.onnx")
    assert changed.returncode == 5
    assert "the weights" in changed.stderr
    assert tool("verify", folder / "right.dagir").returncode == 2


def test_a_certificate_holds_words(tmp_path):
    place = dagir.Input((3,), dtype="int64", name="place")
    dagir.Model(place, layers.StringLookup(vocabulary=["cat", "dog"], invert=True)(place)).save(tmp_path / "m.dagir")
    made = tool("convert", tmp_path / "m.dagir", tmp_path / "m.onnx")
    assert made.returncode == 0, made.stderr
    again = tool("verify", tmp_path / "m.onnx")
    assert again.returncode == 0, again.stderr


def test_an_onnx_file_of_another_interface_is_refused(folder, tmp_path):
    x = dagir.Input((3,), name="x")
    dagir.to_onnx(dagir.Model(x, layers.Dense(2)(x)), tmp_path / "other.onnx")
    done = tool("verify", folder / "right.onnx", tmp_path / "other.onnx")
    assert done.returncode == 2
    assert "inputs" in done.stderr
    assert tool("verify", tmp_path / "other.onnx").returncode == 5  # no certificate


def test_each_pass_can_be_checked(folder):
    done = tool("verify", folder / "right.dagir", folder / "right.onnx", "--verify-each-pass")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "body",
    [
        "float[n, 1, t] x) => (float[n, 1, m] y) { y = Conv <kernel_shape: ints = [7]> (x, w) }",
        "float[n, 1, t] x) => (float[k, 1, m] y) { ten = Reshape (x, sizes) y = Identity (ten) }",
        "float[n, t] x) => (float[n, t, 7] y) { ids = Cast <to: int = 7> (x) y = Gather (table, ids) }",
    ],
    ids=["a kernel of seven", "a reshape by tens", "ids as floats"],
)
def test_inputs_are_those_that_the_file_takes(body, tmp_path):
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> g ({body}')
    rng = np.random.default_rng(0)
    arrays = {
        "w": rng.normal(size=(1, 1, 7)).astype("float32"),
        "table": rng.normal(size=(2, 7)).astype("float32"),
        "sizes": np.int64([-1, 1, 16]),
    }
    read = {name for node in proto.graph.node for name in node.input}
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(a, name) for name, a in arrays.items() if name in read)
    path = tmp_path / "net.onnx"
    onnx.save(proto, path)
    assert dagir.backend("onnx").compare(path, path).ok
