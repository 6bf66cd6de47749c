"""Scenarios 12, 15 and 16 with TensorFlow's functions, as the guide has them, in Keras and in dagir."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import dagir
from dagir import layers
from dagir.errors import DagirError


def dense_class(K):
    class CustomDense(K.Layer):
        def __init__(self, units=32, **kwargs):
            super().__init__(**kwargs)
            self.units = units

        def build(self, input_shape):
            self.w = self.add_weight(
                shape=(input_shape[-1], self.units), initializer="random_normal", trainable=True, name="w"
            )
            self.b = self.add_weight(shape=(self.units,), initializer="random_normal", trainable=True, name="b")

        def call(self, inputs):
            return tf.matmul(inputs, self.w) + self.b

        def get_config(self):
            return {"units": self.units}

    return CustomDense


def custom_dense(K, L):
    inputs = K.Input((4,))
    return K.Model(inputs, dense_class(K)(10)(inputs))


def custom_rnn(K, L, functional):
    class CustomRNN(K.Layer):
        def __init__(self, units=32, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.projection_1 = L.Dense(units, activation="tanh")
            self.projection_2 = L.Dense(units, activation="tanh")
            if functional:
                inputs = K.Input((10, units))
                features = L.GlobalAveragePooling1D()(inputs)
                self.classifier = K.Model(inputs, L.Dense(1, activation="sigmoid")(features))
            else:
                self.classifier = L.Dense(1, activation="sigmoid")

        def call(self, inputs):
            outputs = []
            state = tf.zeros(shape=(inputs.shape[0], self.units))
            for t in range(inputs.shape[1]):
                h = self.projection_1(inputs[:, t, :])
                y = h + self.projection_2(state)
                state = y
                outputs.append(y)
            return self.classifier(tf.stack(outputs, axis=1))

    inputs = K.Input(batch_shape=(16, 10, 5))
    x = inputs if functional else L.Conv1D(32, 3)(inputs)
    return K.Model(inputs, CustomRNN()(x))


NETWORKS = {
    "dense": (custom_dense, (16, 4)),
    "a model inside the layer": (lambda K, L: custom_rnn(K, L, True), (16, 10, 5)),
    "the layer inside a model": (lambda K, L: custom_rnn(K, L, False), (16, 10, 5)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_layer_is_the_same_in_dagir_and_in_keras_and_trains(name):
    build, shape = NETWORKS[name]
    ours, theirs = build(dagir, layers), build(keras, keras.layers)
    theirs.set_weights(ours.get_weights())
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype("float32")
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
