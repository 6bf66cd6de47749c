"""Faults of TensorFlow and Keras layers, each by its smallest case; dagir lowers around them."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest


@pytest.mark.xfail(
    strict=True, reason="Keras 3.15 on TensorFlow takes the second operand for a bias, and its shape for the first's"
)
def test_add_of_a_row_and_a_matrix_of_one_row():
    first, second = np.ones((2, 3), "float32"), np.ones((1, 1, 3), "float32")
    assert np.asarray(keras.ops.add(first, second)).shape == (1, 2, 3)


def small_integers(x):
    return keras.ops.cumsum(keras.ops.cast(x, "int8"), 1)


def wide_windows(x):
    return keras.ops.image.resize(x, (3, 2), interpolation="lanczos5")


@pytest.mark.xfail(strict=True, reason="TensorFlow 2.21 has no kernel of XLA on the CPU for what Keras makes of these")
@pytest.mark.parametrize("function", [small_integers, wide_windows])
def test_compiled_by_xla(function):
    import tensorflow as tf

    tf.function(function, jit_compile=True)(np.ones((1, 2, 2, 1), "float32"))
