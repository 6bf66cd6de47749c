"""SavedModels that TensorFlow writes here, and what a user does with the model that was read; judged by TensorFlow."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L

import dagir

pytestmark = pytest.mark.filterwarnings("ignore")


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def answers(folder, signature="serving_default", **given):
    """TensorFlow's own, of a SavedModel."""
    function = tf.saved_model.load(str(folder)).signatures[signature]
    return {name: each.numpy() for name, each in function(**{k: tf.constant(v) for k, v in given.items()}).items()}


def exported(network, folder):
    for weight in network.weights:
        weight.assign(np.abs(np.random.default_rng(0).normal(0.3, 0.3, weight.shape)))
    network.export(folder, verbose=False)
    return folder


NETWORKS = {
    "depthwise": lambda: [keras.Input((6, 6, 3), name="x"), L.DepthwiseConv2D(3), L.BatchNormalization(), L.Flatten()],
    "recurrent": lambda: [keras.Input((None, 3), name="x"), L.LSTM(4, return_sequences=True), L.Dense(2)],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_read_becomes_a_keras_model_that_is_saved_and_trains(name, tmp_path):
    folder = exported(keras.Sequential(NETWORKS[name]()), tmp_path / "net")
    model = dagir.from_tensorflow(folder)
    given = {"x": drawn(2, 6, 6, 3) if name == "depthwise" else drawn(2, 5, 3)}
    (wanted,) = answers(folder, **given).values()
    dagir.to_keras(model).save(tmp_path / "net.keras")
    (found,) = tf.nest.flatten(keras.saving.load_model(tmp_path / "net.keras")(given))
    np.testing.assert_allclose(found, wanted, 1e-4, 1e-5)
    again = dagir.from_keras(tmp_path / "net.keras")
    for backend in ("numpy", "onnx"):
        (found,) = tf.nest.flatten(dagir.lower(again, backend)(given))
        np.testing.assert_allclose(found, wanted, 1e-4, 1e-5)
    before = [weight.numpy() for weight in model.trainable_weights]
    model.compile("sgd", "mse")
    model.fit(given, {key: wanted + 1 for key in model.output_names}, epochs=1, verbose=0)
    assert before and all((old != new.array).any() for old, new in zip(before, model.trainable_weights, strict=True))
