"""Models that a layer of one's own calls: graphs of their own, not part of the layer that met them first."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops as K

import dagir
from convert.zoo import randomize


class Inner(L.Layer):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(4)

    def call(self, x):
        return self.dense(x) * 2


def _functional(body):
    x = keras.Input((4,))
    return keras.Model(x, body(x))


MODELS = {
    "operations": lambda: _functional(lambda x: K.relu(L.Dense(4)(x)) + x),
    "layers": lambda: _functional(L.Dense(4, activation="relu")),
    "a layer of one's own": lambda: _functional(Inner()),
    "a model": lambda: _functional(_functional(Inner())),
    "a stack": lambda: keras.Sequential([keras.Input((4,)), L.Dense(4), Inner()]),
}
CALLS = {
    "once": lambda model, x: model(x) + 1,
    "twice": lambda model, x: model(model(x)),
    "in a branch": lambda model, x: K.cond(K.sum(x) > 0, lambda: model(x), lambda: x),
}


class Owner(L.Layer):
    def __init__(self, model, call):
        super().__init__()
        self.model, self.how = model, call

    def call(self, x):
        return self.how(self.model, x)


class Subclassed(keras.Model):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def call(self, x):
        return self.model(x) * 2


DATA = np.random.default_rng(3).normal(size=(3, 4)).astype("float32")


def agrees(made):
    randomize(made)
    read = dagir.from_keras(made)
    assert len(read.weights) == len(made.weights)
    report = dagir.verify(read, {"Keras": made, "onnx": dagir.lower(read, "onnx")}, inputs=[DATA])
    assert report.ok, str(report)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("model", MODELS)
def test_a_layer_that_calls_a_model(model, call):
    agrees(_functional(Owner(MODELS[model](), CALLS[call])))


@pytest.mark.parametrize("model", MODELS)
def test_subclassed_models_around_it(model):
    made = Subclassed(Subclassed(MODELS[model]()))
    made(DATA)
    agrees(made)


def test_a_model_that_the_graph_and_a_layer_share():
    inner = MODELS["layers"]()
    agrees(_functional(lambda x: Owner(inner, CALLS["once"])(x) + inner(x)))


class Sub(keras.Model):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def call(self, ids):
        return self.model(ids)


def test_masks_of_a_graph_within_a_subclassed_model():
    ids = keras.Input((5,), dtype="int32")
    embedded = L.Embedding(7, 4, mask_zero=True)(ids)
    attended = L.MultiHeadAttention(2, 3)(embedded, embedded)
    inner = keras.Model(ids, L.LSTM(3)(L.Add()([embedded, attended])))
    given = np.array([[1, 2, 0, 0, 0], [3, 0, 5, 6, 0]], "int32")
    made = Sub(inner)
    made(given)
    randomize(made)
    read = dagir.from_keras(made, inputs=dagir.Input((5,), dtype="int32"))
    report = dagir.verify(read, {"Keras": made}, inputs=[given])
    assert report.ok, str(report)
