"""What graphs of TensorFlow hold and layers of Keras seldom do, on all backends."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import dagir
from dagir import layers, ops

BACKENDS = ("numpy", "onnx", "keras")


def drawn(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("target", [(-1, 6), (-1, 3), (-1, 2, 3), (-1, 4, 2, 3)])
def test_a_reshape_that_puts_other_axes_into_the_batch(target):
    """A layer of Keras keeps the batch, whose size is as unknown as that of a multiple of it."""
    x = dagir.Input((4, 6), name="x")
    model = dagir.Model(x, ops.tanh(ops.reshape(x, target)))
    for batch in (2, 5):
        fed = drawn(batch, 4, 6)
        for backend in BACKENDS:
            np.testing.assert_allclose(dagir.lower(model, backend)(fed), np.tanh(fed).reshape(target), 1e-5)


def test_inputs_of_text_and_of_numbers():
    word, x = dagir.Input((2,), dtype="string", name="word"), dagir.Input((2,), name="x")
    places = layers.StringLookup(vocabulary=["a", "b"])(word)
    model = dagir.Model([word, x], ops.cast(places, "float32") + x)
    fed = {"word": np.array([["a", "z"]], object), "x": np.float32([[0.5, 0.25]])}
    for backend in BACKENDS:
        np.testing.assert_allclose(dagir.lower(model, backend)(fed), [[1.5, 0.25]])


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_a_dilated_convolution_of_an_image_of_unknown_size(padding):
    """TensorFlow makes blocks of the batch of it, and cuts off by the size what does not fill a block."""
    kernel = tf.constant(drawn(3, 3, 2, 1))

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 2], name="x")])
    def dilated(x):
        return tf.nn.depthwise_conv2d(x, kernel, [1, 1, 1, 1], padding, dilations=[2, 3])

    model = dagir.from_tensorflow(dilated)
    for size in ((1, 9, 11, 2), (2, 12, 10, 2)):
        fed = drawn(*size)
        for backend in ("numpy", "onnx"):
            np.testing.assert_allclose(dagir.lower(model, backend)(fed), dilated(fed), 1e-4, 1e-5)
