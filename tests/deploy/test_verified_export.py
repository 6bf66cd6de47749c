"""to_onnx(..., verify=True): what was written is run before it has its name, and is certified as the tool does it."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys

import keras
import numpy as np
import onnx
import pytest

import dagir
from dagir import layers
from dagir.errors import ArgumentError, FileError, VerificationError
from dagir_onnx import file
from dagir_onnx.certificate import KEY


def net():
    dagir.clear_session()
    x = dagir.Input((128,), name="x")
    model = dagir.Model(x, layers.Dense(4, activation="softmax", name="head")(x), name="net")
    for weight in model.weights:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    return model


@pytest.fixture
def live():
    keras.utils.set_random_seed(0)
    x = keras.Input((None, 4), name="steps")
    y = keras.layers.LSTM(3, name="memory")(x)
    return keras.Model(x, keras.layers.Dense(2, name="head")(y), name="live")


def held(path):
    return {entry.key: entry.value for entry in onnx.load(path, load_external_data=False).metadata_props}


def wrong(monkeypatch):
    """A backend that writes something else than it was given."""
    numbers = file.write_numbers
    monkeypatch.setattr(file, "write_numbers", lambda array, out: numbers(array * array.dtype.type(1.01), out))


@pytest.mark.parametrize("external", [False, True])
def test_a_file_from_python_has_the_certificate_of_the_tool(tmp_path, external):
    model = net()
    model.save(tmp_path / "net.dagir")
    path = dagir.to_onnx(model, tmp_path / "net.onnx", verify=True, external_data=external)
    assert path == tmp_path / "net.onnx"
    assert sorted(os.listdir(tmp_path)) == ["net.dagir", "net.onnx", *(["net.onnx.data"] if external else [])]
    report = dagir.verified(path)
    assert report.ok and len(report.cases) == 4 and "the float64 evaluation of net" in report.judgement
    out = tmp_path / "tool"
    out.mkdir()
    command = [sys.executable, "-m", "dagir_convert.command_line", "../net.dagir", "net.onnx"]
    done = subprocess.run(
        [*command, *(["--external-data"] if external else [])], cwd=out, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    by_tool, by_python = held(out / "net.onnx"), held(path)
    assert by_tool["dagir.verified"] == by_python["dagir.verified"]
    certificates = [json.loads(each[KEY]) for each in (by_tool, by_python)]
    assert certificates[0].pop("with") == certificates[1].pop("with") + ".dagir"
    assert certificates[0] == certificates[1]
    again = dagir.to_onnx(model, tmp_path / "again.onnx", verify=True)
    assert external or again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("there", [False, True])
def test_a_wrong_file_is_not_written(tmp_path, monkeypatch, there):
    path = tmp_path / "net.onnx"
    if there:
        path.write_text("mine")
    wrong(monkeypatch)
    with pytest.raises(VerificationError, match="differ by more than rounding explains"):
        dagir.to_onnx(net(), path, verify=True)
    assert os.listdir(tmp_path) == (["net.onnx"] if there else [])
    assert not there or path.read_text() == "mine"
    dagir.to_onnx(net(), path)  # nothing was asked of it
    with pytest.raises(FileError, match="has no certificate"):
        dagir.verified(path)


def test_a_keras_model_in_memory_is_the_witness(tmp_path, live, monkeypatch):
    model = dagir.from_keras(live)
    path = dagir.to_onnx(model, tmp_path / "net.onnx", verify=True)
    assert f"; the source by Keras {keras.__version__}" in held(path)["dagir.verified"]
    assert f"which Keras {keras.__version__} confirms" in dagir.verified(path).judgement
    # the reading is compared, not only the writing
    reads = dagir.backend("keras").read

    def misread(*arguments, **named):
        found = reads(*arguments, **named)
        kernel = next(weight for weight in found.weights if weight.name == "head/kernel")
        kernel.assign(kernel.array * 1.01)
        return found

    monkeypatch.setattr(dagir.backend("keras"), "read", misread)
    with pytest.raises(VerificationError, match="Keras computes something else from the source"):
        dagir.to_onnx(dagir.from_keras(live), tmp_path / "other.onnx", verify=True)
    assert os.listdir(tmp_path) == ["net.onnx"]


@pytest.mark.parametrize("why", ["assigned", "gone", "sizes", "file"])
def test_who_did_not_confirm_is_written_down(tmp_path, live, why):
    live.save(tmp_path / "live.keras")
    model, shapes = dagir.from_keras(tmp_path / "live.keras" if why == "file" else live), None
    if why == "assigned":
        model.weights[0].assign(model.weights[0].array + 1)
    elif why == "gone":
        del live
        model = dagir.from_keras(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))
        gc.collect()
    elif why == "sizes":
        fixed = keras.Sequential([keras.Input((5, 3)), keras.layers.Dense(2)])
        model = dagir.from_keras(fixed)
        shapes = {model.signature.inputs[0][0]: ("batch", "time", 3)}
    path = dagir.to_onnx(model, tmp_path / "net.onnx", verify=True, input_shapes=shapes)
    if why != "gone" or "by Keras" not in held(path)["dagir.verified"]:  # Keras may hold its models in cycles
        assert held(path)["dagir.verified"].endswith("; the source not confirmed by Keras")
    assert dagir.verified(path).ok


@pytest.mark.parametrize("as_file", [False, True])
def test_a_witness_can_be_named(tmp_path, live, as_file):
    live.save(tmp_path / "live.keras")
    model = dagir.from_keras(tmp_path / "live.keras")
    witness = tmp_path / "live.keras" if as_file else live
    path = dagir.to_onnx(model, tmp_path / "net.onnx", verify=witness)
    assert "; the source by Keras " in held(path)["dagir.verified"]
    model.weights[0].assign(model.weights[0].array + 1)
    with pytest.raises(VerificationError, match="Keras computes something else"):
        dagir.to_onnx(model, tmp_path / "other.onnx", verify=witness)


def test_what_verify_takes(tmp_path):
    with pytest.raises(ArgumentError, match="give a path"):
        dagir.to_onnx(net(), verify=True)
    with pytest.raises(ArgumentError, match="verify is True, False"):
        dagir.to_onnx(net(), tmp_path / "net.onnx", verify=3)
    x = dagir.Input((3,), name="x")
    with pytest.raises(VerificationError, match="proves nothing"):
        dagir.to_onnx(dagir.Model(x, x[:, :0]), tmp_path / "net.onnx", verify=True)
    with pytest.raises(FileError, match="cannot write"):
        dagir.to_onnx(net(), tmp_path / "no" / "net.onnx", verify=True)
    (tmp_path / "net.onnx").write_text("mine")
    with pytest.raises(FileError, match="exists"):
        dagir.to_onnx(net(), tmp_path / "net.onnx", verify=True, overwrite=False)
    assert (tmp_path / "net.onnx").read_text() == "mine"
