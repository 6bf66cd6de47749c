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


@pytest.mark.xfail(
    strict=True, reason="TensorFlow 2.21 on CPU pads a Conv3D by a negative amount where the stride exceeds the kernel"
)
def test_a_convolution_whose_stride_exceeds_its_kernel():
    x = np.arange(5, dtype="float32").reshape(1, 5, 1, 1, 1)
    layer = keras.layers.Conv3D(1, 1, strides=(3, 1, 1), padding="same", use_bias=False, kernel_initializer="ones")
    assert np.asarray(layer(x)).ravel().tolist() == [0.0, 3.0]
