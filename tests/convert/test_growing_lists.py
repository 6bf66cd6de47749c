"""Lists of tensors that a loop of TensorFlow makes longer, as often as the data say: stacked and joined."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import dagir
from dagir.errors import UnsupportedLayer
from engines import building


def growing(**options):
    return tf.TensorArray(tf.float32, size=0, dynamic_size=True, **options)


def by_index(x):
    _, _, rows = tf.while_loop(
        lambda i, s, rows: tf.reduce_sum(s) < 10.0,
        lambda i, s, rows: (i + 1, s * 1.5 + 0.1, rows.write(i, s[0] * tf.cast(i, tf.float32))),
        [0, tf.abs(x), growing()],
    )
    return rows.stack()


def joined(x):
    rows, i = growing(element_shape=(2, 3)), 0
    while tf.reduce_sum(x) < 9.0:
        rows = rows.write(i, tf.concat([x[:1], -x[-1:]], 0))
        x = x * 1.3 + 0.2
        i += 1
    return rows.concat(), rows.size()


def by_size(x):
    rows = growing()
    while tf.reduce_sum(x) < 9.0:
        rows = rows.write(rows.size(), tf.reduce_sum(x, 0))
        x = x * 1.3 + 0.2
    return rows.stack()


def chosen(x):
    rows = growing(element_shape=(3,))
    for i in tf.range(tf.shape(x)[0]):
        if tf.reduce_sum(x[i]) > 0.5:
            rows = rows.write(rows.size(), x[i])
    return rows.stack()


def chosen_by_index(x):
    rows, j = growing(element_shape=(3,)), 0
    for i in tf.range(tf.shape(x)[0]):
        if tf.reduce_sum(x[i]) > 0.5:
            rows = rows.write(j, x[i])
            j += 1
    return rows.stack()


def limit_by_data(x):
    rows = growing()
    for i in tf.range(tf.cast(tf.reduce_sum(x), tf.int32) + 1):
        rows = rows.write(i, tf.cast(i, tf.float32))
    return rows.stack()


def read_again(x):
    rows = growing(clear_after_read=False).write(0, x[0])
    i = 1
    while tf.reduce_sum(x) < 9.0:
        rows = rows.write(i, rows.read(i - 1) * 0.5 + x[0])
        x = x * 1.3 + 0.2
        i += 1
    return rows.stack()


def two_a_step(x):
    rows, i = growing(), 0
    while tf.reduce_sum(x) < 9.0:
        rows = rows.write(2 * i + 1, -x[0]).write(2 * i, x[0])
        x = x * 1.3 + 0.2
        i += 1
    return rows.stack()


def nested(x):
    rows = growing()
    for k in tf.range(2):
        y = x + tf.cast(k, tf.float32)
        while tf.reduce_sum(y) < 9.0:
            rows = rows.write(rows.size(), tf.reduce_sum(y, 0))
            y = y * 1.3 + 0.2
    return rows.stack()


def with_break(x):
    rows = growing()
    for i in tf.range(10):
        rows = rows.write(i, x[0] * tf.cast(i, tf.float32))
        if tf.reduce_sum(x) * tf.cast(i, tf.float32) > 5.0:
            break
    return rows.stack()


def two_lists(x):
    first, second, i = growing(), tf.TensorArray(tf.int32, size=0, dynamic_size=True), 0
    while tf.reduce_sum(x) < 9.0:
        first, second = first.write(i, x[0]), second.write(i, i * i)
        x = x * 1.3 + 0.2
        i += 1
    return first.stack(), second.stack()


FUNCTIONS = (
    *(by_index, joined, by_size, chosen, chosen_by_index, limit_by_data),
    *(read_again, two_a_step, nested, with_break, two_lists),
)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_a_list_grows_as_in_tensorflow(function):
    run = tf.function(function, input_signature=[tf.TensorSpec((None, 3), tf.float32)])
    read = dagir.from_tensorflow(run)
    lowered = [dagir.lower(read, name) for name in ("numpy", "onnx", "keras")]

    @settings(max_examples=max(2, settings.default.max_examples // 5))
    @given(st.integers(2, 5), st.integers(0, 2**32 - 1))
    def agrees(rows, seed):
        x = np.random.default_rng(seed).uniform(0.01, 0.4, (rows, 3)).astype("float32")
        wanted = [np.asarray(leaf) for leaf in tf.nest.flatten(run(x))]
        for executable in lowered:
            for mine, theirs in zip(tf.nest.flatten(executable(x)), wanted, strict=True):
                assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)
                np.testing.assert_allclose(mine, theirs, rtol=2e-5, atol=1e-5)

    agrees()


@pytest.mark.parametrize("function", [by_index, by_size, chosen], ids=lambda function: function.__name__)
def test_a_list_grows_in_the_call_of_a_layer(function):
    run = tf.function(function)

    class Own(keras.layers.Layer):
        def call(self, x):
            return run(x)

    x = keras.Input((3,), name="x")
    with building():
        made = keras.Model(x, Own(name="own")(x))
    read = dagir.from_keras(made)
    array = np.random.default_rng(0).uniform(0.01, 0.4, (4, 3)).astype("float32")
    np.testing.assert_allclose(dagir.lower(read, "onnx")(array), np.asarray(made(array)), rtol=2e-5, atol=1e-5)


def test_a_length_that_hangs_on_the_items_is_refused():
    @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32)])
    def run(x):
        rows = growing(clear_after_read=False).write(0, tf.reduce_sum(tf.abs(x)))
        i = 1
        while rows.read(i - 1) < 20.0:
            rows = rows.write(i, rows.read(i - 1) * 1.5 + 1.0)
            i += 1
        return rows.stack()

    with pytest.raises(UnsupportedLayer, match="it reads a list that a loop makes longer"):
        dagir.from_tensorflow(run)
