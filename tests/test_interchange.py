"""dagir.to_onnx, to_keras, from_keras, from_onnx."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import dagir
from dagir import layers
from dagir.errors import ArgumentError, DagirError, FileError


@pytest.fixture
def model():
    inputs = dagir.Input(shape=(4,), name="img")
    return dagir.Model(inputs, layers.Dense(3, name="scores")(inputs))


def test_to_onnx_gives_a_model_or_writes_a_file(model, tmp_path):
    proto = dagir.to_onnx(model, opset=18)
    onnx.checker.check_model(proto, full_check=True)
    assert proto.opset_import[0].version == 18
    assert [entry.name for entry in (*proto.graph.input, *proto.graph.output)] == ["img", "scores"]
    wide = dagir.Input(shape=(256,), name="img")
    model = dagir.Model(wide, layers.Dense(3, name="scores")(wide))
    path = dagir.to_onnx(model, tmp_path / "m.onnx", external_data=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.onnx", "m.onnx.data"]
    assert dagir.verify(model, {"file": dagir.backend("onnx").open(path, model)}).ok
    with pytest.raises(FileError, match="exists"):
        dagir.to_onnx(model, path, overwrite=False)


def test_a_file_of_another_interface_is_refused(model, tmp_path):
    first, second = dagir.Input(shape=(4,), name="sound"), dagir.Input(shape=(4,), name="other")
    scores = layers.Dense(3, name="scores")(layers.Add()([first, second]))
    path = dagir.to_onnx(dagir.Model([first, second], scores), tmp_path / "m.onnx")
    with pytest.raises(ArgumentError, match=r"the inputs of .* are not the model's") as caught:
        dagir.backend("onnx").open(path, model)
    assert "sound" in str(caught.value)


def test_a_backend_that_opens_or_describes_no_files_says_so(model, tmp_path):
    with pytest.raises(DagirError, match="the numpy backend runs no files"):
        dagir.backend("numpy").open(tmp_path, model)
    with pytest.raises(DagirError, match="the numpy backend describes no files"):
        dagir.backend("numpy").describe(tmp_path)


def test_to_keras_gives_real_layers_with_the_same_weights(model):
    made = dagir.to_keras(model)
    assert [layer.name for layer in made.layers] == ["img", "scores"]
    for ours, theirs in zip(model.weights, made.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_from_onnx_gives_what_to_onnx_wrote(tmp_path):
    x = dagir.Input((3,), name="x")
    path = dagir.to_onnx(dagir.Model(x, dagir.ops.exp(x), name="net"), tmp_path / "m.onnx")
    model = dagir.from_onnx(path)
    assert model.input_names == ["x"]
    np.testing.assert_array_equal(dagir.lower(model)([np.zeros((2, 3), "f4")])[model.output_names[0]], np.ones((2, 3)))


def test_an_onnx_file_verifies_against_its_model(model, tmp_path):
    path = dagir.to_onnx(model, tmp_path / "m.onnx")
    assert dagir.verify(model, str(path)).ok
