"""Live models whose layers call TensorFlow's functions: numbers at two batches and two lengths."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L
from tensorflow import matmul

import dagir
from dagir.errors import UnsupportedLayer


class Own(L.Layer):
    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function
        self.factor = tf.Variable(np.full(4, 2, "float32"), name="factor")

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], 4), name="w")

    def call(self, x):
        return self.function(self, x)


def attention(self, x):
    scores = tf.matmul(x, x, transpose_b=True) / tf.sqrt(tf.cast(tf.shape(x)[-1], tf.float32))
    causal = tf.linalg.band_part(tf.ones((tf.shape(x)[1], tf.shape(x)[1])), -1, 0)
    return tf.matmul(tf.nn.softmax(scores - 1e9 * (1.0 - causal)), x)


def positions(self, x):
    places = tf.cast(tf.range(tf.shape(x)[1]), tf.float32)[:, tf.newaxis]
    angles = places / tf.pow(10000.0, tf.constant([[0.0, 0.25, 0.5, 0.75]]))
    return x + tf.where(tf.constant([True, False, True, False]), tf.sin(angles), tf.cos(angles))[tf.newaxis]


def summed_in_a_loop(self, x):
    def body(i, total):
        return [i + 1, total + x[:, i]]

    return tf.while_loop(lambda i, _: i < tf.shape(x)[1], body, [tf.constant(0), tf.zeros_like(x[:, 0])])[1]


CALLS = {
    "a function held by name": lambda self, x: matmul(x, self.w),
    "the value of a weight": lambda self, x: x @ (self.w.value * 2.0),
    "a weight of weights": lambda self, x: tf.matmul(x, tf.nn.softmax(tf.matmul(self.w, self.w, transpose_b=True))),
    "a variable of TensorFlow": lambda self, x: x * self.factor + tf.square(self.factor),
    "the static shape": lambda self, x: tf.reshape(x, [-1, *x.shape.as_list()[2:]]),
    "get_shape": lambda self, x: tf.reshape(x, [tf.shape(x)[0], -1, x.get_shape()[-1]]),
    "attention": attention,
    "positions": positions,
    "a loop": summed_in_a_loop,
    "a map": lambda self, x: tf.map_fn(lambda row: tf.nn.softmax(row * 2.0), x),
    "a scan": lambda self, x: tf.scan(lambda state, row: state * 0.5 + row, tf.transpose(x, [1, 0, 2])),
    "a fold": lambda self, x: tf.foldl(lambda state, row: state * 0.5 + row, tf.transpose(x, [1, 0, 2])),
    "a condition": lambda self, x: tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2.0, lambda: -x),
    "a compiled function": lambda self, x: tf.function(lambda y: tf.nn.relu(y) * 2.0)(x),
    "named results": lambda self, x: tf.math.top_k(x, 2).values,
    "an embedding": lambda self, x: tf.nn.embedding_lookup(self.w, tf.argmax(x, -1)),
    "patches": lambda self, x: tf.image.extract_patches(
        x[..., tf.newaxis], sizes=[1, 2, 2, 1], strides=[1, 1, 1, 1], rates=[1, 1, 1, 1], padding="SAME"
    ),
    "standardized": lambda self, x: (
        (x - tf.reduce_mean(x, -1, keepdims=True)) * tf.math.rsqrt(tf.math.reduce_variance(x, -1, keepdims=True) + 1e-3)
    ),
    "arguments by their names": lambda self, x: tf.nn.relu(features=tf.stop_gradient(input=tf.nn.elu(features=-x))),
    "a tensor on the left": lambda self, x: tf.constant(2.0) * x + tf.ones((4,)) / (tf.abs(x) + 1.0),
    "tiled weights": lambda self, x: tf.tile(self.w[None], [tf.shape(x)[0], 1, 1]),
    "split and joined": lambda self, x: tf.concat(tf.split(x, 2, axis=-1)[::-1], -1),
    "a scatter": lambda self, x: tf.tensor_scatter_nd_update(x, [[0, 0]], x[0, 0][None]),
    "repeated": lambda self, x: tf.repeat(tf.expand_dims(x, 1), tf.shape(x)[1], axis=1),
}
WEIGHTS = {"a function held by name", "the value of a weight", "a weight of weights", "a variable of TensorFlow"}


def live(function):
    x = keras.Input((None, 4), name="x")
    return keras.Model(x, Own(function, name="own")(x))


@pytest.mark.parametrize("name", CALLS)
def test_a_call_gives_kerass_numbers(name):
    made = live(CALLS[name])
    read = dagir.from_keras(made)
    backends = [dagir.lower(read, each) for each in ("numpy", "onnx")]
    for shape in ((2, 3, 4), (3, 5, 4)):
        x = np.random.default_rng(0).normal(size=shape).astype("float32")
        for executable in backends:
            np.testing.assert_allclose(executable(x), np.asarray(made(x)), atol=1e-5)
    if name in WEIGHTS:
        wanted = "own/factor" if "variable" in name else "own/w"
        assert [(weight.name.rpartition("/")[2], weight.trainable) for weight in read.weights] == [
            (wanted.rpartition("/")[2], True)
        ]


def checked(self, x):
    tf.debugging.assert_rank(x, 2 if hasattr(x, "sizes") else 3)
    return x


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda self, x: x + tf.random.normal((4,)), r"draws random numbers at inference \(tf.random.normal\)"),
        (
            lambda self, x: tf.math.betainc(tf.abs(x), tf.abs(x), tf.nn.sigmoid(x)),
            r"the graph that TensorFlow makes of its call: TensorFlow.s op Betainc",
        ),
        (lambda self, x: (tf.print(x), x)[1], "tf.print changes a state"),
        (checked, "tf.debugging.assert_rank fails"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_function_and_layer(call, named):
    with pytest.raises(UnsupportedLayer, match=rf"layer 'own' \(Own\) cannot be taken.*{named}"):
        dagir.from_keras(live(call))


def test_a_stack_with_an_input_is_refused_for_what_keras_finds_no_shape_of():
    made = keras.Sequential([keras.Input((1, 2)), L.Lambda(tf.squeeze)])
    with pytest.raises(UnsupportedLayer, match="drops all axes of size 1, and not all sizes are known"):
        dagir.from_keras(made)
