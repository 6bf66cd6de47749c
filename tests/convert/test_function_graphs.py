"""Layers whose call no traced tensor goes through: tf.function, autograph, loops of TensorFlow. Keras judges them."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
import tensorflow as tf

import dagir
from dagir.errors import UnsupportedLayer

SIZES = ((2, 3), (3, 5))


def agrees(source, inputs=None, dtype="float32", shape=lambda batch, time: (batch, time, 4)):
    """The model read from one of Keras's, whose answers at two batch sizes and two lengths are Keras's."""
    model = dagir.from_keras(source, inputs=inputs)
    lowered = [dagir.lower(model, name) for name in ("numpy", "onnx", "keras")]
    for place, sizes in enumerate(SIZES):
        rng = np.random.default_rng(place)
        for sign in (1, -1):
            x = (sign * rng.uniform(0.1, 1, shape(*sizes)) * (9 if dtype == "int32" else 1)).astype(dtype)
            x = abs(x) if dtype == "int32" else x
            wanted = [np.asarray(each) for each in tf.nest.flatten(source(x, training=False))]
            for each in lowered:
                found = tf.nest.flatten(each(x))
                for want, got in zip(wanted, found, strict=True):
                    assert got.dtype == want.dtype
                    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    return model


def around(layer, shape=(None, 4), dtype="float32"):
    begin = keras.Input(shape, dtype=dtype)
    return keras.Model(begin, layer(begin))


class Compiled(keras.layers.Layer):
    """A call that is a tf.function, with a while and an if of Python, and variables of both kinds."""

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], 4), name="w")
        self.held = self.add_weight(shape=(4,), name="held", trainable=False)
        self.raw = tf.Variable(np.full(4, 0.5, "float32"), name="raw")
        self.dense = keras.layers.Dense(4, activation="relu")
        self.dense.build((None, None, 4))

    @tf.function
    def call(self, x):
        y = tf.matmul(x, self.w) + self.raw + self.held
        step = tf.constant(0)
        while step < 3:
            y = tf.nn.tanh(y) + 0.1
            step += 1
        if tf.reduce_sum(y) > 0.0:
            y = y * 2.0
            y = y + 1.0
        else:
            y = y - 1.0
        return self.dense(y) * tf.cast(tf.shape(x)[1], tf.float32)


def test_a_compiled_call_keeps_its_weights_by_identity():
    layer = Compiled(name="own")
    source = around(layer)
    layer.held.assign([1.0, 2.0, 3.0, 4.0])
    model = agrees(source)
    found = {weight.name: weight.trainable for weight in model.weights}
    kernel = layer.dense.kernel.path
    assert found == {"own/w": True, "own/held": False, "own/raw": True, kernel: True, layer.dense.bias.path: True}
    assert model.get_layer("own").weights == model.weights


class Branches(keras.layers.Layer):
    """Autograph in a layer inside another one, as it runs eagerly."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def call(self, x):
        if tf.reduce_mean(x) > 0:
            return self.dense(x)
        return self.dense(-x) - 1.0


class Controlled(keras.Model):
    """The functions of TensorFlow that run functions, in a model without a graph."""

    def __init__(self):
        super().__init__()
        self.inner, self.norm, self.drop = Branches(), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)

    def call(self, x, training=None):
        x = self.drop(self.norm(x))
        rows = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
        for place in tf.range(3):
            rows = rows.write(place, tf.cast(place, tf.float32) * tf.reduce_sum(x, 1))
        y = self.inner(x)
        y = tf.case([(tf.reduce_sum(x) > 1.0, lambda: y + 1.0)], default=lambda: y - 1.0)
        y = tf.switch_case(tf.constant(1), [lambda: y, lambda: y * 2.0])
        y = tf.map_fn(lambda row: row * 2.0, y)
        _, total = tf.while_loop(
            lambda i, total: i < tf.shape(x)[1], lambda i, total: (i + 1, total + tf.cast(i, tf.float32)), [0, 0.0]
        )
        sums = tf.scan(lambda before, row: before + row, tf.transpose(y, [1, 0, 2]))
        if training:
            y = y + tf.random.normal(tf.shape(y))
        return {"y": y + total, "rows": rows.stack(), "sums": sums, "c": tf.cond(y[0, 0, 0] > 0, lambda: x, lambda: -x)}


def test_functions_that_run_functions_in_a_subclassed_model():
    source = Controlled()
    source(np.zeros((1, 2, 4), "float32"))
    source.norm.moving_mean.assign([0.1, 0.2, -0.3, 0.4])
    model = agrees(source, inputs=dagir.Input((None, 4)))
    assert {weight.name for weight in model.weights} == {variable.path for variable in source.variables[:6]}


class Masked(keras.layers.Layer):
    """Layers of Keras inside, which read the mask of the tensor that the call gets."""

    def __init__(self):
        super().__init__()
        self.lstm = keras.layers.LSTM(3, return_sequences=True)
        self.supports_masking = True

    @tf.function
    def call(self, x):
        return self.lstm(tf.nn.relu(self.lstm(x)) if x.shape[-1] == 3 else x)


def test_masks_go_in_and_out():
    begin = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(9, 4, mask_zero=True)(begin)
    x = keras.layers.LSTM(2)(Masked()(x))
    agrees(keras.Model(begin, x), dtype="int32", shape=lambda batch, time: (batch, time))


class Shared(keras.layers.Layer):
    """Its call gives up only behind a layer that the model uses too."""

    def __init__(self, dense):
        super().__init__()
        self.dense = dense

    def call(self, x):
        return tf.map_fn(lambda row: row + 1.0, self.dense(x))


def test_a_layer_inside_that_is_used_outside_too_is_one_layer():
    dense = keras.layers.Dense(4)
    begin = keras.Input((None, 4))
    model = agrees(keras.Model(begin, Shared(dense)(dense(begin))))
    assert len(model.weights) == 2
    assert len(model.get_layer(dense.name).weights) == 2


@pytest.mark.parametrize(
    "function, reason",
    [
        (lambda x: tf.map_fn(lambda row: row + tf.random.normal([4]), x), "random"),
        (lambda x: tf.map_fn(lambda row: row * np.random.rand(), x), "draws random numbers"),
        (lambda x: tf.map_fn(lambda row: tf.py_function(lambda y: y, [row], tf.float32), x), "Python code"),
    ],
)
def test_what_no_graph_holds_is_refused_with_the_layer(function, reason):
    begin = keras.Input((3, 4))
    source = keras.Model(begin, keras.layers.Lambda(function, output_shape=(3, 4), name="own")(begin))
    with pytest.raises(UnsupportedLayer, match=f"layer 'own'.*{reason}"):
        dagir.from_keras(source)


def test_places_of_equal_elements_are_read():
    def function(x):
        return tf.map_fn(lambda row: row + tf.cast(tf.unique(row[0])[1], tf.float32), x)

    begin = keras.Input((3, 4))
    source = keras.Model(begin, keras.layers.Lambda(function, output_shape=(3, 4))(begin))
    given = np.random.default_rng(0).integers(0, 3, (2, 3, 4)).astype("float32")
    found = dagir.lower(dagir.from_keras(source))(given)
    np.testing.assert_allclose(found, np.asarray(source(given)))


def test_all_refused_ops_are_named_at_once():
    def function(x):
        found = tf.map_fn(lambda row: tf.py_function(lambda y: y, [row], tf.float32), x)
        return found + tf.raw_ops.Betainc(a=x, b=x, x=x)

    begin = keras.Input((3, 4))
    source = keras.Model(begin, keras.layers.Lambda(function, output_shape=(3, 4), name="own")(begin))
    with pytest.raises(UnsupportedLayer, match=r"layer 'own'.*(Python code.*Betainc|Betainc.*Python code)"):
        dagir.from_keras(source)


class Counting(keras.layers.Layer):
    """It counts its calls."""

    def build(self, shape):
        self.count = self.add_weight(shape=(), name="count", trainable=False)

    @tf.function
    def call(self, x):
        self.count.assign_add(1.0)
        return x * self.count


def test_a_state_that_outlives_the_call_is_refused():
    with pytest.raises(UnsupportedLayer, match=r"(?s)layer 'own'.*assigns the weight"):
        dagir.from_keras(around(Counting(name="own")))


class AsksItsLength(keras.layers.Layer):
    """Autograph decides by a size that no one knows while the graph is traced; TensorFlow says None for it."""

    @tf.function
    def call(self, x):
        batch, time, width = x.shape
        found = tf.zeros_like(x)
        if time == 3:
            found = x * 10.0
        if x.get_shape().as_list()[1] != 3:
            found = x - 1.0
        return tf.reshape(found, (batch, time * width))

    def compute_output_shape(self, shape):
        return shape[0], None


def test_a_branch_by_an_unknown_size_is_taken_as_keras_takes_it_on_arrays():
    layer = AsksItsLength(name="own")
    model = dagir.from_keras(around(layer))
    for lowered in (dagir.lower(model, name) for name in ("numpy", "onnx", "keras")):
        for length in (2, 3, 5):
            x = np.random.default_rng(length).normal(size=(2, length, 4)).astype("float32")
            np.testing.assert_allclose(lowered(x), layer(x), rtol=1e-6)


class AsksPlainly(keras.layers.Layer):
    """The same question where no autograph turns it into a branch of the graph."""

    def call(self, x):
        rows = tf.map_fn(lambda row: row + 1.0, x)
        return rows * 10.0 if rows.shape[1] == 3 else rows

    def compute_output_shape(self, shape):
        return shape


def test_a_plain_question_for_an_unknown_size_is_refused_or_answered_never_guessed():
    layer = AsksPlainly(name="own")
    try:
        model = dagir.from_keras(around(layer))
    except UnsupportedLayer as error:
        assert "layer 'own'" in str(error)
        return
    for length in (2, 3, 5):
        x = np.random.default_rng(length).normal(size=(2, length, 4)).astype("float32")
        np.testing.assert_allclose(dagir.lower(model)(x), layer(x), rtol=1e-6)
