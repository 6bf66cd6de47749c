"""Scenario 14: a call that cannot fit fails there, in dagir as in Keras; and objects of Keras are told apart."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import dagir
from dagir import layers
from faults.messages import message_of


def dense_on_another_size(K, L):
    shared = L.Dense(3)
    shared(K.Input((8,)))
    shared(K.Input((9,)))


def image_in_place_of_a_sequence(K, L):
    L.LSTM(3)(K.Input((8, 8, 3)))


def vector_in_place_of_an_image(K, L):
    L.Conv2D(3, 3)(K.Input((8,)))


def kernel_larger_than_its_image(K, L):
    L.Conv2D(3, 9)(K.Input((8, 8, 3)))


def images_of_two_sizes(K, L):
    L.concatenate([K.Input((8, 8, 3)), K.Input((8, 9, 4))])


def sums_of_two_sizes(K, L):
    L.add([K.Input((8,)), K.Input((9,))])


def reshape_to_another_count(K, L):
    L.Reshape((5, 5))(K.Input((24,)))


def groups_that_do_not_divide(K, L):
    L.Conv2D(4, 3, groups=2)(K.Input((8, 8, 3)))


WRONG = [
    dense_on_another_size,
    image_in_place_of_a_sequence,
    vector_in_place_of_an_image,
    kernel_larger_than_its_image,
    images_of_two_sizes,
    sums_of_two_sizes,
    reshape_to_another_count,
    groups_that_do_not_divide,
]


@pytest.mark.parametrize("write", WRONG, ids=lambda write: write.__name__)
def test_what_cannot_fit_fails_where_it_is_called(write):
    with pytest.raises(ValueError):
        write(keras, keras.layers)
    with pytest.raises(dagir.ShapeError) as caught:
        write(dagir, layers)
    last = max(line for _, _, line in write.__code__.co_lines() if line)
    assert f"called at  {__file__}:{last}" in str(caught.value)
    assert caught.value.remedy


# ---- objects of Keras where dagir's belong, and the other way round


def keras_layer_on_a_value():
    keras.layers.Dense(3, name="theirs")(dagir.Input((4,), name="x"))


def keras_model_on_a_value():
    inputs = keras.Input((4,))
    keras.Model(inputs, keras.layers.Dense(3)(inputs), name="theirs")(dagir.Input((4,), name="x"))


def keras_function_on_a_value():
    keras.ops.matmul(dagir.Input((4,), name="x"), np.ones((4, 4)))


def keras_layer_in_a_sequence():
    dagir.Sequential([keras.layers.Dense(3, name="theirs")])


def layer_on_a_keras_tensor():
    layers.Dense(3, name="ours")(keras.Input((4,), name="theirs"))


def list_with_a_keras_tensor():
    layers.Add(name="sum")([dagir.Input((4,), name="x"), keras.Input((4,), name="theirs")])


def op_on_a_keras_tensor():
    dagir.Input((4,), name="x") + keras.Input((4,), name="theirs")


def model_of_keras_tensors():
    inputs = keras.Input((4,), name="theirs")
    dagir.Model(inputs, keras.layers.Dense(3)(inputs), name="mixed")


def keras_layer_inside_a_custom_layer():
    class Mixed(dagir.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = keras.layers.Dense(3, name="theirs")

        def call(self, x):
            return self.inner(x)

    Mixed(name="mixed")(dagir.Input((4,), name="x"))


def keras_function_as_an_activation():
    layers.Dense(3, activation=keras.ops.logaddexp)


def keras_model_to_be_lowered():
    dagir.lower(keras.Sequential([keras.layers.Dense(3)], name="theirs"), "onnx")


def keras_model_to_onnx():
    dagir.to_onnx(keras.Sequential([keras.layers.Dense(3)], name="theirs"))


FROM_KERAS = "dagir.from_keras(...) makes a dagir layer or model of it, or use dagir's own of the same name"
FROM_INPUT = "start from dagir.Input; what is built with Keras is read as a whole: dagir.from_keras(keras_model)"
FROM_OPS = "use the function of the same name in dagir.ops; dagir.from_keras(...) reads layers and models"
MIXED = {
    keras_layer_on_a_value: (
        "the Keras layer 'theirs' (Dense) was called on the dagir value 'x'; it takes tensors of Keras",
        FROM_KERAS,
    ),
    keras_model_on_a_value: (
        "the Keras model 'theirs' (Functional) was called on the dagir value 'x'; it takes tensors of Keras",
        FROM_KERAS,
    ),
    keras_function_on_a_value: (
        "a function of Keras was called on the dagir value 'x', which holds no numbers yet",
        FROM_OPS,
    ),
    keras_layer_in_a_sequence: (
        "Sequential takes layers, and an Input first; got the Keras layer 'theirs' (Dense)",
        FROM_KERAS,
    ),
    layer_on_a_keras_tensor: (
        "layer 'ours' was called on the KerasTensor 'theirs'; a layer takes values of the graph",
        FROM_INPUT,
    ),
    list_with_a_keras_tensor: ("layer 'sum' takes values of the graph, got the KerasTensor 'theirs'", FROM_INPUT),
    op_on_a_keras_tensor: ("an op of dagir takes values of the graph, got the KerasTensor 'theirs'", FROM_INPUT),
    model_of_keras_tensors: ("inputs of model 'mixed' hold the KerasTensor 'theirs', no Value", FROM_INPUT),
    keras_layer_inside_a_custom_layer: (
        "the Keras layer 'theirs' (Dense) was called on the dagir value 'x'; it takes tensors of Keras",
        FROM_KERAS,
    ),
    keras_function_as_an_activation: (
        "an activation of dagir is no function of Keras, got logaddexp",
        "name it, as in activation='relu', or use dagir.ops",
    ),
    keras_model_to_be_lowered: (
        "lower takes a Model or a Graph, got the Keras model 'theirs' (Sequential)",
        FROM_KERAS,
    ),
    keras_model_to_onnx: (
        "to_onnx takes a Model or a Graph, got the Keras model 'theirs' (Sequential)",
        FROM_KERAS,
    ),
}


@pytest.mark.parametrize("case", MIXED, ids=lambda case: case.__name__)
def test_objects_of_keras_are_told_apart(case):
    summary, remedy = MIXED[case]
    first, *_, last = message_of(case).splitlines()
    assert first == f"ArgumentError: {summary}"
    assert last == f"  remedy: {remedy}"
    assert "called at  {here}:+" in message_of(case)


def test_a_keras_layer_that_was_read_is_a_layer_of_dagir():
    x = dagir.Input((4,), name="x")
    theirs = keras.layers.Dense(3, name="theirs")
    theirs.build((None, 4))
    model = dagir.Model(x, dagir.from_keras(theirs)(x))
    array = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    np.testing.assert_allclose(dagir.lower(model, "numpy")(array), np.asarray(theirs(array)), rtol=1e-5, atol=1e-6)
