"""NumPy's numbers as arguments: taken as Keras takes them, and plain Python's from then on."""

from __future__ import annotations

import json

import numpy as np
import pytest

import dagir
from dagir import layers

TWO, FOUR = np.int64(2), np.int32(4)
IMAGE, STEPS = (8, 8, 3), (6, 3)
CASES = {
    "filters": (lambda: layers.Conv2D(FOUR, 3), IMAGE),
    "kernel_size as an array": (lambda: layers.Conv2D(4, np.array([3, 3]), strides=np.array([2, 1])), IMAGE),
    "kernel_size in a tuple": (lambda: layers.Conv2D(4, (np.int64(3), 3), dilation_rate=[TWO, TWO]), IMAGE),
    "kernel_size alone": (lambda: layers.Conv2D(filters=4, kernel_size=np.uint8(3)), IMAGE),
    "units": (lambda: layers.Dense(np.prod((2, 3))), STEPS),
    "recurrent": (lambda: layers.LSTM(FOUR, dropout=np.float64(0.5), go_backwards=np.bool_(True)), STEPS),
    "heads": (lambda: layers.GroupNormalization(groups=np.int64(3), epsilon=np.float32(1e-3)), STEPS),
    "target_shape in a tuple": (lambda: layers.Reshape((TWO, 9)), STEPS),
    "target_shape as an array": (lambda: layers.Reshape(np.array([2, -1])), STEPS),
    "dims": (lambda: layers.Permute(np.array([2, 1])), STEPS),
    "pool_size": (lambda: layers.MaxPooling2D(TWO), IMAGE),
    "axis": (lambda: layers.BatchNormalization(axis=np.int64(-1), epsilon=np.float32(1e-3)), STEPS),
    "axes": (lambda: layers.LayerNormalization(axis=np.array([1, 2])), STEPS),
    "rate": (lambda: layers.Dropout(np.float32(0.5), seed=np.int64(3)), STEPS),
    "padding": (lambda: layers.ZeroPadding2D(((TWO, 1), (0, np.int64(1)))), IMAGE),
    "padding as an array": (lambda: layers.ZeroPadding2D(np.array([[1, 2], [0, 1]])), IMAGE),
    "n": (lambda: layers.RepeatVector(FOUR), (3,)),
    "size": (lambda: layers.UpSampling2D(np.array([2, 2])), IMAGE),
    "shared_axes": (lambda: layers.PReLU(shared_axes=np.array([1, 2])), IMAGE),
    "cell": (lambda: layers.RNN([layers.GRUCell(FOUR)]), STEPS),
    "name": (lambda: layers.Dense(2, name=np.str_("dense")), STEPS),
}


@pytest.mark.parametrize("name", CASES)
def test_numbers_of_numpy(name):
    make, shape = CASES[name]
    layer = make()
    x = dagir.Input(shape, name="x")
    output = layer(x)
    assert all(type(size) is int for size in output.shape[1:])

    def plain(value):
        return value.get_config() if isinstance(value, layers.Layer) else repr(value)

    json.dumps({key: value for key, value in layer.get_config().items() if not hasattr(value, "assign")}, default=plain)
    again = type(layer).from_config(layer.get_config())
    assert again(x).type == output.type


def test_merging_and_shapes():
    x = dagir.Input((3,), name="x")
    assert layers.Concatenate(axis=np.int64(1))([x, x]).shape == (None, 6)
    assert layers.Embedding(np.int64(10), FOUR)(dagir.Input(np.array([3]), dtype="int32")).shape == (None, 3, 4)
    assert dagir.Input(np.array([3, 4])).shape == (None, 3, 4)
    assert dagir.Input(batch_shape=(TWO, 4)).shape == (2, 4)

    class Mine(dagir.Layer):
        def build(self, input_shape):
            self.w = self.add_weight(shape=(np.int64(3), FOUR), name="w")

        def call(self, x):
            return x @ self.w

    assert Mine()(x).shape == (None, 4)

    class Wide(layers.Dense):
        def __init__(self, units, **kwargs):
            super().__init__(units * TWO, **kwargs)

    assert type(Wide(3).units) is int


def test_arrays_that_are_data_stay_arrays():
    norm = layers.Normalization(mean=np.array([1, 2, 3]), variance=np.array([1, 1, 4]))
    x = dagir.Input((3,), name="x")
    model = dagir.Model(x, norm(x))
    np.testing.assert_allclose(model.predict([[1, 3, 5]]), [[0, 1, 1]])
    dense = layers.Dense(1, kernel_initializer=np.array([[1], [2], [3]]))
    np.testing.assert_allclose(dagir.Model(x, dense(x)).predict([[1, 1, 1]]), [[6]])


@pytest.mark.parametrize("wrong", [np.float32(2.5), np.int64(0), np.bool_(True), np.array([2])])
def test_what_is_no_number_of_units_is_refused_all_the_same(wrong):
    with pytest.raises(dagir.ArgumentError, match="Dense takes a positive int for units"):
        layers.Dense(wrong)


def test_the_class_of_an_activation_layer_is_a_layer_of_it():
    x = dagir.Input((3,), name="x")
    dense = layers.Dense(3, activation=layers.ReLU, name="d")
    assert (dagir.Model(x, dense(x)).predict(-np.ones((2, 3))) >= 0).all()
    assert isinstance(dense.get_config()["activation"], layers.ReLU)
