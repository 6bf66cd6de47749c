"""What a traced call does with the tensors and numbers that it holds, as published transformers and detectors do."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops as K

import dagir
from convert.test_traced_calls import NEGATIVE, POSITIVE, agrees
from dagir.errors import UnsupportedLayer


def model(call, spec=(4,)):
    class Own(L.Layer):
        def compute_output_spec(self, x):
            return keras.KerasTensor((None, *spec))

    Own.call = call
    x = keras.Input((4,))
    return keras.Model(x, Own(name="own")(x))


def test_a_tensor_is_unpacked_along_its_first_axis():
    def call(self, x):
        low, high = K.stack([x, x * 3])  # as in eager execution: a graph of TensorFlow refuses it
        first, *others = K.transpose(x)
        return low - high + K.expand_dims(first + sum(others), 1)

    agrees(model(call), POSITIVE, NEGATIVE)


def test_a_tensor_of_an_unknown_length_is_not_unpacked():
    with pytest.raises(UnsupportedLayer, match=r"it goes through the rows of a tensor float32\[batch, 4\]"):
        dagir.from_keras(model(lambda self, x: sum(row for row in x)))


def test_operations_with_numbers_of_numpy():
    far = np.finfo(np.float32).max - np.float32(1000)

    def call(self, x):
        return K.clip(x, x_min=-far, x_max=far) + K.clip(x, np.float64(0.25), np.float64(0.5))

    agrees(model(call), POSITIVE, NEGATIVE)
    x = keras.Input((4,))
    agrees(keras.Model(x, K.clip(x, np.float32(-0.5), np.float32(0.5))), POSITIVE, NEGATIVE)


def test_a_constant_of_another_dtype():
    def call(self, x):
        return x + K.convert_to_tensor(K.convert_to_tensor(np.arange(4), dtype="int32"), dtype="float32")

    agrees(model(call), POSITIVE)
    assert str(dagir.ops.convert_to_tensor(dagir.ops.convert_to_tensor([1, 2]), "float32").dtype) == "float32"


class Stepped(L.Layer):
    """Gives a second tensor where it is called with one, as a decoder with a cache does."""

    def call(self, x, cache=None):
        made = K.sum(K.svd(K.expand_dims(x, -1))[1], axis=-1, keepdims=True) + x
        return made if cache is None else (made, cache + 1)

    def compute_output_shape(self, shape, cache=None):
        return shape


def test_what_goes_wrong_after_a_refusal_is_named_by_the_refusal():
    class Outer(L.Layer):
        def __init__(self):
            super().__init__(name="outer")
            self.inner = Stepped(name="inner")

        def call(self, x):
            made, cache = self.inner(x, cache=x)
            return made + cache

        def compute_output_shape(self, shape):
            return shape

    x = keras.Input((4,))
    with pytest.raises(UnsupportedLayer, match=r"dagir has no keras\.ops\.svd"):
        dagir.from_keras(keras.Model(x, Outer()(x)))


def test_a_length_that_the_data_tell():
    def call(self, x):
        return x + K.linspace(0.0, 1.0, K.cast(K.max(x), "int32"))[:1]

    with pytest.raises(UnsupportedLayer, match="cannot be taken"):
        dagir.from_keras(model(call))
