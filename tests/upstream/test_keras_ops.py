"""Functions of keras.ops that are wrong, each by its smallest case; dagir has its own. A test that passes is news."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest


@pytest.mark.xfail(strict=True, reason="Keras 3.15 on TensorFlow sums the cumulative sums of the support")
def test_sparsemax_gives_probabilities():
    found = np.asarray(keras.ops.sparsemax(np.array([1.0, 0.9], "float32")))
    assert found.sum() == pytest.approx(1)


@pytest.mark.xfail(strict=True, reason="Keras 3.15 on TensorFlow subtracts infinity from infinity")
def test_an_infinity_is_close_to_itself():
    assert np.asarray(keras.ops.isclose(np.array([np.inf]), np.array([np.inf]))).all()


def same(found, wanted):
    assert np.array_equal(np.asarray(found), wanted)


@pytest.mark.xfail(strict=True, reason="Keras 3.15 hands over padding and output_padding mixed up")
def test_conv_transpose_as_a_raw_operation():
    x, kernel = keras.Input((5, 3)), keras.Input(batch_shape=(3, 4, 3))
    model = keras.Model([x, kernel], keras.ops.conv_transpose(x, kernel, 2, "valid"))
    model([np.zeros((1, 5, 3), "float32"), np.zeros((3, 4, 3), "float32")])


@pytest.mark.xfail(strict=True, reason="Keras 3.15 does not count the groups of a symbolic conv")
def test_a_convolution_in_groups_as_a_raw_operation():
    x, kernel = keras.Input((5, 4)), keras.Input(batch_shape=(3, 2, 6))
    keras.Model([x, kernel], keras.ops.conv(x, kernel))


@pytest.mark.xfail(strict=True, reason="Keras 3.15 on TensorFlow")
@pytest.mark.parametrize(
    "case",
    [
        lambda: same(keras.ops.rot90(np.array([[2, 1]]), 2), [[1, 2]]),
        lambda: same(keras.ops.pad(np.zeros((2, 2)), 1), np.zeros((4, 4))),
        lambda: same(keras.ops.vstack([np.ones(1), np.ones(1)]), np.ones((2, 1))),
        lambda: same(keras.ops.eye(1, 1, 2), np.eye(1, 1, 2)),
        lambda: same(keras.ops.trace(np.ones((2, 5)), 1), np.trace(np.ones((2, 5)), 1)),
        lambda: same(keras.ops.searchsorted(np.ones(1), np.zeros((2, 1))), np.zeros((2, 1))),
        lambda: same(keras.ops.triu(np.ones((1, 1)), -2), np.ones((1, 1))),
        lambda: same(keras.ops.nextafter(np.float32(1), np.float32(2)), np.nextafter(np.float32(1), np.float32(2))),
        lambda: same(keras.ops.argpartition(np.array([0.75, 0.25, 0.5]), 0)[0], 1),
        lambda: same(keras.ops.argpartition(np.array([-1, 0, -2]), 1)[2], 1),
    ],
    ids=[
        *("rot90 twice", "pad by a number", "vstack of size 1", "eye beyond", "trace", "searchsorted", "triu beyond"),
        *("nextafter in float32", "argpartition of floats", "argpartition of negative numbers"),
    ],
)
def test_is_numpys(case):
    case()


@pytest.mark.xfail(strict=True, reason="Keras 3.15 pools one window over more elements than there are")
def test_an_adaptive_average_of_one_window_can_be_traced():
    import tensorflow as tf

    x = np.ones((1, 2, 2, 2, 6), "float32")
    tf.function(lambda x: keras.ops.adaptive_average_pool(x, (1, 2, 3), "channels_first"))(x)
