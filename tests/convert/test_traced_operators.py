"""Python's operators in a traced call, between tensors, weights, arrays, sizes: what TensorFlow's tensors do there."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops as K

import dagir
from convert.zoo import randomize
from engines import ENGINE, building

ONES = np.ones(4, "float32")
EYE = np.eye(4, dtype="float32")
NUMBERS = np.array([3, 1, 4, 1], "int32")

OF_FLOATS = {
    "a weight times": lambda self, x: self.w * x,
    "a weight less": lambda self, x: self.w - x,
    "a weight over": lambda self, x: self.w / (x * x + 1),
    "a weight and a product": lambda self, x: K.reshape(self.w, (1, 4)) @ K.transpose(x),
    "powers of a weight": lambda self, x: (self.w * self.w) ** K.tanh(x),
    "what is made of a weight": lambda self, x: (self.w + 1) * x,
    "a weight times a size": lambda self, x: x + self.w * K.cast(K.shape(x)[0], x.dtype),
    "an array times": lambda self, x: ONES * x - np.float32(2) * x,
    "an array and a product": lambda self, x: EYE @ K.transpose(x),
    "an array times a size": lambda self, x: x + ONES * K.cast(K.shape(x)[0], x.dtype),
    "a tensor times": lambda self, x: K.ones((4,)) * x,
    "a row of weights": lambda self, x: self.table[1] * x + x * self.table[-1],
    "equal": lambda self, x: K.cast(x == 0, "float32") + x,
    "a number is equal": lambda self, x: K.cast(1.0 == x, "float32") + x,  # noqa: SIM300
    "unequal": lambda self, x: K.where(x != 0, x, 5.0),
    "a weight is equal": lambda self, x: K.cast(self.w == x, "float32") + x,
    "a weight is less": lambda self, x: K.cast(self.w < x, "float32") + x,
    "a weight is at least": lambda self, x: K.cast(self.w >= x, "float32") + x,
    "a tensor is at most": lambda self, x: K.cast(K.ones((4,)) <= x, "float32") + x,
    "an array is unequal": lambda self, x: K.cast(ONES != x, "float32") + x,  # noqa: SIM300
    "truth values": lambda self, x: K.cast((x > 0) & (x < 3) | ~(x != 0) ^ (x == 1), "float32") + x,
    "a tensor's truth values": lambda self, x: K.cast((K.ones((4,)) > 0) & (x < 3), "float32") + x,
    "something": lambda self, x: x if x is not None and x != None else -x,  # noqa: E711
}
OF_INTEGERS = {
    "and": lambda self, x: x & 3,
    "or": lambda self, x: 4 | x,
    "either": lambda self, x: x ^ 5,
    "not": lambda self, x: ~x,
    "an array and": lambda self, x: NUMBERS & x,
    "a tensor and": lambda self, x: K.convert_to_tensor(NUMBERS) & x,
    "parts": lambda self, x: x // 3 + x % 3 - NUMBERS // (abs(x) + 1),
}
OF_SIZES = {
    "is 3": lambda self, x: x * K.cast(K.shape(x)[0] == 3, "float32"),
    "is not 3": lambda self, x: K.where(K.shape(x)[0] != 3, x, -x),
    "is one of": lambda self, x: x * K.cast(K.shape(x)[0] == K.arange(4), "float32"),
    "an array is not": lambda self, x: x * K.cast(np.arange(4, dtype="int32") != K.shape(x)[0], "float32"),
    "a difference is": lambda self, x: x * K.cast(3 - K.shape(x)[0] == -1, "float32"),
    "is less": lambda self, x: x * K.cast(K.shape(x)[0] < 3, "float32"),
    "its bits": lambda self, x: x * K.cast(K.shape(x)[0] & 1, "float32"),
    "a shape": lambda self, x: x if x.shape[1:] == (4,) and -1 not in x.shape and x.shape == x.shape else -x,
}


def agrees(call, *arrays):
    class Own(L.Layer):
        def build(self, shape):
            self.w = self.add_weight(shape=(4,), name="w")
            self.table = self.add_weight(shape=(3, 4), name="table")

    Own.call = call
    x = keras.Input((4,), dtype=arrays[0].dtype.name)
    with building():
        made = keras.Model(x, Own(autocast=False)(x))
    randomize(made)
    read = dagir.from_keras(made)
    for array in arrays:
        report = dagir.verify(read, {"Keras": made, "onnx": dagir.lower(read, "onnx")}, inputs=[array])
        assert report.ok, str(report)


FLOATS = np.array([[1, -2, 0, 4], [0, 1, 2.5, 3], [1, 1, -1, 0]], "float32")


@pytest.mark.parametrize("name", OF_FLOATS)
def test_floats(name):
    if name == "an array is unequal" and ENGINE == "torch":
        pytest.skip("no array is equal to a tensor of PyTorch, whatever is in it")
    agrees(OF_FLOATS[name], FLOATS)


@pytest.mark.parametrize("name", OF_INTEGERS)
def test_integers(name):
    agrees(OF_INTEGERS[name], np.array([[1, -2, 0, 4], [0, 1, 2, 3]], "int32"))


@pytest.mark.parametrize("name", OF_SIZES)
def test_sizes(name):
    agrees(OF_SIZES[name], FLOATS, FLOATS[:2])


def test_weights_on_the_left_stay_weights():
    class Scale(L.Layer):
        def build(self, shape):
            self.gamma = self.add_weight(shape=(4,), name="gamma")

        def call(self, x):
            return self.gamma * x

    x = keras.Input((4,))
    read = dagir.from_keras(keras.Model(x, Scale(name="scale")(x)))
    assert [weight.name for weight in read.weights] == ["scale/gamma"]
