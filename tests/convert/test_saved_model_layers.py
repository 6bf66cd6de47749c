"""Files of Keras with a TFSMLayer, whose SavedModel lies elsewhere: read with the model that the user gives for it."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L

import dagir
from dagir.errors import FileError, UnsafeFile

pytestmark = pytest.mark.filterwarnings("ignore")


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def network(outputs):
    """Eleven outputs, so that names and places sort otherwise; weights of one shape, and one not trained."""
    x = keras.Input((4,), name="x")
    h = L.BatchNormalization()(L.Dense(4, activation="tanh")(L.Dense(4)(x)))
    given = [L.Rescaling(float(place + 1))(h) for place in range(outputs)]
    made = keras.Model(x, given if outputs > 1 else given[0])
    for place, weight in enumerate(made.weights):
        weight.assign(np.abs(drawn(*weight.shape, seed=place)))
    return made


@pytest.fixture(scope="module", params=[("serve", 1), ("serve", 11), ("serving_default", 1)], ids=str)
def saved(request, tmp_path_factory):
    """(the .keras file, the folder, what Keras answers)"""
    (endpoint, outputs), home = request.param, tmp_path_factory.mktemp("tfsm")
    network(outputs).export(home / "net", verbose=False)
    layer = L.TFSMLayer(str(home / "net"), call_endpoint=endpoint, name="loaded")
    x = keras.Input((4,), name="x")
    given = layer(x)
    made = keras.Model(x, [L.Add()([each, each]) for each in tf.nest.flatten(given)])
    made.save(home / "net.keras")
    return home, made, layer


def test_it_is_read_with_the_model_of_its_folder(saved):
    home, made, _ = saved
    custom = {"loaded": dagir.from_tensorflow(home / "net")}
    read = dagir.from_keras(home / "net.keras", custom_objects=custom)
    for batch in (2, 5):
        x = drawn(batch, 4, seed=batch)
        wanted = tf.nest.flatten(made(x))
        for backend in ("numpy", "onnx"):
            for mine, theirs in zip(tf.nest.flatten(dagir.lower(read, backend)(x)), wanted, strict=True):
                np.testing.assert_allclose(mine, theirs, 1e-4, 1e-5)


def test_no_path_in_a_file_is_followed(saved):
    """Not even to the right place: the refusal says what the file names, and what to pass."""
    home, *_ = saved
    with pytest.raises(UnsafeFile, match="which is code outside of the file") as refused:
        dagir.from_keras(home / "net.keras")
    assert str(home / "net") in str(refused.value) and "dagir.from_tensorflow" in refused.value.remedy


def test_weights_that_were_trained_since(saved):
    """A file has them without names: those of one shape are not told apart."""
    home, made, layer = saved
    before = [weight.numpy() for weight in layer.weights]
    kernels = [weight for weight in layer.weights if weight.shape == (4, 4)]
    try:
        kernels[0].assign(kernels[0] + 1)
        made.save(home / "trained.keras")
        custom = {"loaded": dagir.from_tensorflow(home / "net")}
        read = dagir.from_keras(home / "trained.keras", custom_objects=custom)
        x = drawn(3, 4)
        found = tf.nest.flatten(dagir.lower(read, "onnx")(x))[0]
        np.testing.assert_allclose(found, tf.nest.flatten(made(x))[0], 1e-4, 1e-5)
        kernels[1].assign(kernels[1] + 1)
        made.save(home / "trained.keras")
        custom = {"loaded": dagir.from_tensorflow(home / "net")}
        with pytest.raises(FileError, match="does not tell its weights apart"):
            dagir.from_keras(home / "trained.keras", custom_objects=custom)
    finally:
        for weight, array in zip(layer.weights, before, strict=True):
            weight.assign(array)


def test_in_memory(saved):
    _, made, _ = saved
    x = drawn(3, 4)
    found = tf.nest.flatten(dagir.lower(dagir.from_keras(made), "onnx")(x))
    for mine, theirs in zip(found, tf.nest.flatten(made(x)), strict=True):
        np.testing.assert_allclose(mine, theirs, 1e-4, 1e-5)
