"""SavedModels as older TensorFlows and Kerases wrote them, with the answers of their writers; without TensorFlow."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

import dagir

FILES = sorted(Path(__file__).with_name("saved_models").glob("*.zip"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def saved(request, tmp_path):
    """The folder of a SavedModel, and the arrays beside it."""
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(tmp_path)
    return tmp_path / "net", np.load(tmp_path / "answers.npz")


def cases(answers):
    """(what the signature is given, what it gives), each by name."""
    for number in range(2):
        yield tuple(
            {key.split("/", 2)[2]: as_fed(answers[key]) for key in answers if key.startswith(f"{number}/{side}/")}
            for side in ("in", "out")
        )


def as_fed(array):
    return array.astype(object) if array.dtype.kind == "U" else array


def test_it_answers_as_its_writer_did(saved):
    """With the names of the signature, at two batch sizes and two lengths."""
    folder, answers = saved
    model = dagir.from_tensorflow(folder)
    for fed, wanted in cases(answers):
        assert (model.input_names, model.output_names) == (sorted(fed), sorted(wanted))
        for backend in ("numpy", "onnx"):
            found = dagir.lower(model, backend)(fed)
            for name, want in wanted.items():
                assert (found[name].shape, found[name].dtype) == (want.shape, want.dtype)
                np.testing.assert_allclose(found[name], want, 2e-4, 2e-5, err_msg=backend)


def own_name(path):
    """Of a variable, without its layers, of which Keras 3 leaves out some, and without what makes it unique."""
    return re.sub(r"_\d+$", "", path.rpartition("/")[2])


def test_its_variables_are_the_weights_of_the_model(saved):
    """By name, and each trained as the writer had it."""
    folder, answers = saved
    model = dagir.from_tensorflow(folder)
    for key, trains in (("trainable", True), ("frozen", False)):
        wanted = sorted(own_name(str(name).removesuffix(":0")) for name in answers[key])
        assert sorted(own_name(weight.name) for weight in model.weights if weight.trainable == trains) == wanted
    assert model.count_params() == sum(weight.array.size for weight in model.weights)
    copy = folder.with_name("net.dagir")
    model.save(copy)
    kept = [(each.name, each.trainable) for each in dagir.load(copy).weights]
    assert kept == [(each.name, each.trainable) for each in model.weights]


def test_a_frozen_graph_with_a_loop_of_tensorflow_1():
    path = Path(__file__).with_name("frozen_graphs") / "tensorflow_1_loop.pb"
    model = dagir.from_tensorflow(path)
    assert (model.input_names, sorted(model.output_names)) == (["x"], ["chosen", "seq"])
    for fed, wanted in cases(np.load(path.with_suffix(".npz"))):
        for backend in ("numpy", "onnx"):
            found = dagir.lower(model, backend)(fed)
            for name, want in wanted.items():
                np.testing.assert_allclose(found[name], want, 1e-4, 1e-5, err_msg=backend)
