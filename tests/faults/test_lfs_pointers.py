"""A pointer of Git LFS in place of a file: the error says so, and how to fetch the file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dagir
from dagir.errors import FileError

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d' * 32}\nsize 102973445\n"
SAVED = Path(__file__).parent / "saved_model"


def refused(use):
    with pytest.raises(FileError, match="is a pointer of Git LFS, not the file itself, which has 102,973,445") as told:
        use()
    assert told.value.remedy.endswith("git lfs pull")


def pointer(path):
    path.write_text(POINTER)
    return path


@pytest.fixture
def model():
    x = dagir.Input((3,), name="x")
    return dagir.Model(x, dagir.layers.Dense(2)(x))


def test_files_of_models_and_of_weights(model, tmp_path):
    for name in ("m.keras", "m.h5", "m.weights.json"):
        refused(lambda name=name: dagir.from_keras(pointer(tmp_path / name)))
    refused(lambda: dagir.from_onnx(pointer(tmp_path / "m.onnx")))
    refused(lambda: dagir.verified(pointer(tmp_path / "m.onnx")))
    refused(lambda: dagir.load(pointer(tmp_path / "m.dagir")))
    refused(lambda: dagir.from_tensorflow(pointer(tmp_path / "m.pb")))
    refused(lambda: model.load_weights(pointer(tmp_path / "m.weights.h5")))
    refused(lambda: model.load_weights(pointer(tmp_path / "m.safetensors")))


def test_samples_and_labels(model, tmp_path):
    for name in ("x.npz", "x.npy"):
        refused(lambda name=name: dagir.verify(model, "numpy", pointer(tmp_path / name)))
    metric = dagir.Metric("accuracy", pointer(tmp_path / "y.npy"))
    refused(lambda: dagir.verify(model, "numpy", np.ones((2, 3), "float32"), metric=metric))


@pytest.mark.parametrize(
    "part", ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"]
)
def test_a_part_of_a_saved_model(part, tmp_path):
    shutil.copytree(SAVED, tmp_path / "net")
    pointer(tmp_path / "net" / part)
    refused(lambda: dagir.from_tensorflow(tmp_path / "net"))


def test_the_weights_beside_an_onnx_file(tmp_path):
    x = dagir.Input((64,), name="x")
    dagir.to_onnx(dagir.Model(x, dagir.layers.Dense(64)(x)), tmp_path / "m.onnx", external_data=True)
    (data,) = set(tmp_path.iterdir()) - {tmp_path / "m.onnx"}
    pointer(data)
    refused(lambda: dagir.from_onnx(tmp_path / "m.onnx"))


def test_the_tool_says_so_too(tmp_path):
    pointer(tmp_path / "m.onnx")
    done = subprocess.run(
        [sys.executable, "-m", "dagir", "m.onnx", "m.dagir"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 5 and "git lfs pull" in done.stderr, done.stderr


def test_a_text_that_only_mentions_it_is_no_pointer(tmp_path):
    (tmp_path / "m.dagir").write_text("see the " + POINTER)
    with pytest.raises(FileError) as told:
        dagir.load(tmp_path / "m.dagir")
    assert "LFS" not in str(told.value)
