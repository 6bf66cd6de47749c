"""Outputs that are constants, weights, inputs, or one value twice: every backend gives them, under their names."""

from __future__ import annotations

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import layers, ops

ARRAY = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")


def values():
    """Values of all kinds over one input, and the name `constant` for a layer too."""
    x = dagir.Input(batch_shape=(3, 4), name="x")
    dense = layers.Dense(2, name="dense")
    y = dense(x)
    return x, {
        "input": x,
        "layer": y,
        "weight": dense.kernel.value,
        "of weights": ops.relu(dense.kernel),
        "constant": ops.zeros((3, 4)),
        "long constant": ops.ones((40,)),
        "called constant": layers.Dense(2, name="constant")(x),
        "node": ops.tanh(y),
    }


def check(names, folder):
    x, known = values()
    model = dagir.Model(x, [known["layer"], *(known[name] for name in names)])
    wanted = dagir.lower(model, "numpy")(ARRAY)
    model.save(folder / "m.dagir")
    again = dagir.load(folder / "m.dagir")
    native = [dagir.to_keras(model)]
    if not {"weight", "of weights"} & set(names):  # which a .keras file cannot hold: its layer has them
        native[0].save(folder / "m.keras")
        native.append(keras.models.load_model(folder / "m.keras"))
    path = folder / "m.onnx"
    dagir.to_onnx(model, path)
    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path)
    assert [output.name for output in session.get_outputs()] == model.output_names
    for found in (
        session.run(None, {"x": ARRAY}),
        dagir.lower(model, "onnx")(ARRAY),
        dagir.lower(model, "keras")(ARRAY),
        *(each(ARRAY) for each in native),
        dagir.lower(again)(ARRAY),
    ):
        assert len(found) == len(wanted)
        for got, want in zip(found, wanted, strict=True):
            np.testing.assert_allclose(np.asarray(got), want, atol=1e-6)
    assert dagir.verify(model).ok


@pytest.mark.parametrize("name", values()[1])
def test_each_kind_once_and_twice(name, tmp_path):
    check([name, name], tmp_path)


@given(names=st.lists(st.sampled_from(sorted(values()[1])), min_size=1, max_size=4))
def test_any_of_them_together(names, tmp_path_factory):
    check(names, tmp_path_factory.mktemp("outputs"))


def test_zeros_of_a_keras_model_with_a_fixed_batch(tmp_path):
    x = keras.Input(batch_shape=(3, 4), name="x")
    judge = keras.Model(x, [keras.layers.Dense(2)(x), keras.ops.zeros_like(x)])
    model = dagir.from_keras(judge)
    dagir.to_onnx(model, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    for got, want in zip(session.run(None, {"x": ARRAY}), judge(ARRAY), strict=True):
        np.testing.assert_allclose(got, np.asarray(want), atol=1e-6)
