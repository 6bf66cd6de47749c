"""Functions that bear a name of Keras's, or none, as activations: what they compute decides, never what they say."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given
from hypothesis import strategies as st
from keras import layers as L
from keras import ops as K

import dagir
from convert.zoo import randomize
from dagir.errors import ArgumentError

NAMES = ["relu", "gelu", "swish", "silu", "tanh", "sigmoid", "softmax", "linear", "elu", "leaky_relu", "sparsemax"]
MODULES = ["user", "keras.src.activations.activations", "keras.src.ops.nn", "keras.ops", "tensorflow"]
BODIES = {
    "LeCun's": lambda x: 1.7159 * K.tanh(2 / 3 * x),
    "leaky": lambda x: K.maximum(x, 0.1 * x),
    "of a sigmoid": lambda x: x * K.sigmoid(1.702 * x),
    "of NumPy's numbers": lambda x: np.sqrt(0.5) * x - np.float64(0.25),
    "of another": lambda x: K.gelu(x) + keras.activations.gelu(x),
}
SEQUENCES = {
    "Activation": L.Activation,
    "Conv1D": lambda f: L.Conv1D(8, 2, activation=f),
    "SeparableConv1D": lambda f: L.SeparableConv1D(8, 2, activation=f),
    "EinsumDense": lambda f: L.EinsumDense("abc,cd->abd", (4, 8), activation=f),
    "TimeDistributed": lambda f: L.TimeDistributed(L.Dense(8, activation=f)),
    "SimpleRNN": lambda f: L.SimpleRNN(8, activation=f),
    "LSTM": lambda f: L.LSTM(8, recurrent_activation=f, return_sequences=True),
    "GRU": lambda f: L.GRU(8, activation=f, recurrent_activation=f),
    "a cell": lambda f: L.RNN(L.LSTMCell(8, activation=f)),
    "cells": lambda f: L.RNN([L.GRUCell(4), L.SimpleRNNCell(8, activation=f)]),
    "Dense": lambda f: L.Dense(8, activation=f),
}


def _named(body: Any, name: str, module: str) -> Any:
    def function(x: Any) -> Any:
        return body(x)

    function.__name__ = function.__qualname__ = name
    function.__module__ = module
    return function


def _of_an_object(body: Any, name: str, module: str) -> Any:
    found = type(name, (), {"__call__": lambda self, x: body(x), "__module__": module, "__name__": name})
    return found()


def _bound(body: Any, name: str, module: str) -> Any:
    return getattr(type("Owner", (), {name: lambda self, x: body(x), "__module__": module})(), name)


def _partial(body: Any, name: str, module: str) -> Any:
    return functools.partial(_named(body, name, module))


def _layer(body: Any, name: str, module: str) -> Any:
    return type(name, (L.Layer,), {"call": lambda self, x: body(x), "__module__": module})()


def _registered(body: Any, name: str, module: str) -> Any:
    return keras.saving.register_keras_serializable("own", name)(_named(body, name, module))


FORMS = [_named, _of_an_object, _bound, _partial, _layer, _registered]
DATA = np.random.default_rng(5).normal(size=(2, 4, 4)).astype("float32")


def judged(layer: L.Layer, seed: int = 0) -> None:
    x = keras.Input((4, 4))
    made = keras.Model(x, layer(x))
    randomize(made, seed)
    read = dagir.from_keras(made)
    assert [weight.shape for weight in read.weights] == [tuple(weight.shape) for weight in made.weights]
    report = dagir.verify(read, {"Keras": made, "onnx": dagir.lower(read, "onnx")}, inputs=[DATA])
    assert report.ok, str(report)


@given(
    st.sampled_from(sorted(SEQUENCES)),
    st.sampled_from(FORMS),
    st.sampled_from(sorted(BODIES)),
    st.sampled_from(NAMES),
    st.sampled_from(MODULES),
    st.integers(0, 3),
)
def test_what_a_function_computes_decides(kind, form, body, name, module, seed):
    keras.utils.clear_session()
    layer = SEQUENCES[kind](form(BODIES[body], name, module))
    try:
        layer(np.zeros((1, 4, 4), "float32"))
    except Exception:  # Keras does not take it
        assume(False)
    judged(layer, seed)


@pytest.mark.parametrize("kind", SEQUENCES)
@pytest.mark.parametrize("function", [K.gelu, K.silu, K.relu, tf.nn.relu, tf.nn.gelu, keras.activations.gelu, None])
def test_functions_of_keras_and_tensorflow(kind, function):
    judged(SEQUENCES[kind](function))


@pytest.mark.parametrize("name", ["relu", "softmax", "gelu", "leaky_relu", "silu", "log_softmax", "selu", "softsign"])
def test_what_is_known_stays_a_name(name):
    for function in (getattr(keras.activations, name), getattr(tf.nn, name)):
        x = keras.Input((4,))
        read = dagir.from_keras(keras.Model(x, L.Dense(3, activation=function)(x)))
        assert dagir.to_keras(read).layers[-1].activation is keras.activations.get(name)


def test_the_gelu_of_the_functions_is_the_tanh_form():
    x = dagir.Input((4,))
    with pytest.raises(ArgumentError, match="no function of Keras, got gelu"):
        dagir.layers.Dense(3, activation=K.gelu)(x)
    impostor = _named(BODIES["leaky"], "relu", "keras.src.activations.activations")
    with pytest.raises(ArgumentError, match="no function of Keras, got relu"):
        dagir.layers.Dense(3, activation=impostor)(x)


def test_a_function_of_tensorflow_inside_is_read():
    x = keras.Input((4,))
    made = keras.Model(x, L.Activation(lambda t: tf.tanh(t) * 2)(x))
    given = np.linspace(-2, 2, 12, dtype="float32").reshape(3, 4)
    np.testing.assert_allclose(dagir.lower(dagir.from_keras(made))(given), np.asarray(made(given)), rtol=1e-6)


def test_weights_of_a_layer_whose_activation_is_one_reach_the_cell():
    class Scaled(L.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(), name="scale")

        def call(self, x):
            return K.tanh(x) * self.scale

    for kind in ("SimpleRNN", "LSTM", "GRU", "cells", "TimeDistributed", "Conv1D"):
        judged(SEQUENCES[kind](Scaled()))


def test_a_variable_that_a_function_reads_is_a_weight_of_the_graph():
    variable = keras.Variable(np.float32(1.5), name="slope")
    x = keras.Input((4,))
    made = keras.Model(x, L.Dense(3, activation=lambda t: t * variable)(x))
    report = dagir.verify(dagir.from_keras(made), {"Keras": made}, inputs=[DATA[:, 0]])
    assert report.ok, str(report)


class Relu(keras.Operation):
    """Of the user's own, named and placed as one of Keras's."""

    __module__ = "keras.src.ops.nn"

    def call(self, x):
        return K.tanh(x) * 7.0

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


class Dense(L.Dense):
    """Keras's, and twice."""

    __module__ = L.Dense.__module__

    def call(self, x):
        return super().call(x) * 2.0


def test_operations_and_layers_that_pretend_to_be_keras_s():
    class Calls(L.Layer):
        def call(self, x):
            return Relu()(x) + 1.0

    for made in (Dense(3), Calls(), L.Activation(Relu())):
        judged(made)
    x = keras.Input((4, 4))
    made = keras.Model(x, Relu()(x))
    report = dagir.verify(dagir.from_keras(made), {"Keras": made}, inputs=[DATA])
    assert report.ok, str(report)


def test_a_call_that_one_layer_alone_was_given():
    layer = L.Dense(3, use_bias=False)
    layer.build((None, 4, 4))
    layer.call = lambda x, training=None: K.matmul(x, layer.kernel) * 3.0
    judged(layer)


@pytest.mark.parametrize("module", ["own.layers", "keras.layers"])
def test_a_configuration_of_an_activation_of_one_s_own_is_refused(module):
    config = {"module": module, "class_name": "ReLU", "config": {}, "registered_name": "own>ReLU"}
    with pytest.raises(ArgumentError, match="own>ReLU"):
        dagir.layers.Dense(3, activation=config)
