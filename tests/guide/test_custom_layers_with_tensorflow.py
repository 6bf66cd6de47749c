"""Scenarios 12, 15 and 16 with TensorFlow's functions, as the guide has them, in Keras and in dagir."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import dagir
from dagir import layers
from dagir.errors import DagirError
from guide import custom_layers as guide

NETWORKS = [guide.custom_dense, guide.rnn_around_a_model, guide.rnn_inside_a_model]


@pytest.mark.parametrize("build", NETWORKS, ids=lambda build: build.__name__)
def test_the_layer_is_the_same_in_dagir_and_in_keras_and_trains(build):
    ours, theirs = build(dagir, layers, tf), build(keras, keras.layers, tf)
    theirs.set_weights(ours.get_weights())
    rng = np.random.default_rng(0)
    x = rng.normal(size=(theirs.input_shape[0] or 16, *theirs.input_shape[1:])).astype("float32")
    expected = np.asarray(theirs(x))
    read = dagir.from_keras(theirs)
    for model in (ours, read):
        for backend in ("numpy", "onnx", "keras"):
            np.testing.assert_allclose(dagir.lower(model, backend)(x), expected, atol=1e-5, err_msg=backend)
        assert [weight.shape for weight in model.trainable_weights] == [w.shape for w in theirs.trainable_weights]
    y = rng.uniform(0, 1, expected.shape).astype("float32")
    ours.compile(optimizer="sgd", loss="mse")
    losses = ours.fit(x, y, epochs=5, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_the_sizes_of_a_value_are_sizes():
    class Own(dagir.Layer):
        def call(self, x):
            shape = tf.shape(x)
            batch, steps = shape[0], shape[1]
            flat = tf.reshape(x, (batch, steps * 4))
            longer = tf.concat([flat, tf.zeros((batch, 1))], -1)
            return tf.reduce_sum(longer * 2.0, -1) + tf.ones((batch,))

    x = dagir.Input((None, 4))
    model = dagir.Model(x, Own()(x))
    for shape in ((2, 3, 4), (5, 1, 4)):
        feed = np.random.default_rng(0).normal(size=shape).astype("float32")
        expected = feed.reshape(shape[0], -1).sum(-1) * 2 + 1
        for backend in ("numpy", "onnx", "keras"):
            np.testing.assert_allclose(dagir.lower(model, backend)(feed), expected, atol=1e-4)


def test_a_function_without_a_rule_is_refused():
    x = dagir.Input((4,))
    with pytest.raises(DagirError, match="a function of TensorFlow was called on the dagir value"):
        tf.math.betainc(x, x, x)
    with pytest.raises(DagirError, match=r"tf.linalg.svd decomposes matrices"):
        tf.linalg.svd(x)
