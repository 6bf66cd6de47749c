"""What a traced call computes of its weights alone stays a computation: weights can be assigned, and are trained."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops as K

import dagir
from convert.zoo import randomize

X = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
CALLS = {
    "softmax": lambda self, x: x * K.softmax(self.w),
    "transposed": lambda self, x: K.matmul(x, K.transpose(self.table)),
    "one more": lambda self, x: (self.w + 1) * x,
    "one less": lambda self, x: (1 - self.w) * x,
    "negated": lambda self, x: x * -self.w + abs(self.w),
    "a power": lambda self, x: 2**self.w * x,
    "as a tensor": lambda self, x: x * K.convert_to_tensor(self.w),
    "cast": lambda self, x: x * K.cast(self.w, x.dtype),
    "a row": lambda self, x: x * self.table[0] + self.table[:, 1],
    "parts": lambda self, x: x * K.concatenate([self.w[2:], self.w[:2]]),
    "repeated": lambda self, x: K.sum(K.tile(self.table, (K.shape(x)[0], 1)), axis=0) + x,
    "for each row": lambda self, x: K.sum(K.broadcast_to(self.table, (K.shape(x)[0], 4, 4)), axis=1) + x,
    "normalized": lambda self, x: x @ (self.table / K.sqrt(K.sum(K.square(self.table), axis=0, keepdims=True))),
    "chosen": lambda self, x: K.where(self.w > 0, x, -x) + self.w,
    "through a layer": lambda self, x: x + self.inner(self.table)[0],
}


def model(call):
    class Own(L.Layer):
        def build(self, shape):
            self.w = self.add_weight(shape=(4,), name="w")
            self.table = self.add_weight(shape=(4, 4), name="table")
            self.inner = L.Dense(4, name="inner")
            self.inner.build((4, 4))

    Own.call = call
    x = keras.Input((4,), name="x")
    made = keras.Model(x, Own(name="own")(x))
    randomize(made)
    return made


@pytest.mark.parametrize("name", CALLS)
def test_weights_are_weights(name):
    made = model(CALLS[name])
    before = [K.convert_to_numpy(variable).copy() for variable in made.variables]
    read = dagir.from_keras(made)
    for variable, value in zip(made.variables, before, strict=True):
        np.testing.assert_array_equal(K.convert_to_numpy(variable), value)
    assert dagir.verify(read, {"Keras": made, "onnx": dagir.lower(read, "onnx")}, inputs=[X]).ok
    held = {variable.path: variable for variable in made.variables}
    assert read.weights
    for place, weight in enumerate(read.weights):
        new = np.random.default_rng(place).normal(size=weight.shape).astype("float32")
        weight.assign(new)
        held[weight.name].assign(new)
    assert dagir.verify(read, {"Keras": made}, inputs=[X]).ok


def test_they_are_trained_where_the_model_goes_back_to_keras():
    read = dagir.from_keras(model(CALLS["softmax"]))
    again = dagir.to_keras(read)
    again.compile(optimizer="sgd", loss="mse")
    before = [K.convert_to_numpy(variable).copy() for variable in again.trainable_variables]
    again.fit(X, np.ones_like(X), verbose=0)
    assert len(before) == 1
    assert not np.allclose(before[0], K.convert_to_numpy(again.trainable_variables[0]))


def test_what_they_are_computed_with_costs_nothing_at_run_time():
    ops = [
        node.op_type for node in dagir.lower(dagir.from_keras(model(CALLS["normalized"])), "onnx").artifact.graph.node
    ]
    assert ops == ["MatMul"]


def test_what_dagir_cannot_compute_keras_computes_once():
    made = model(lambda self, x: x @ K.svd(self.table)[0] * self.w)
    read = dagir.from_keras(made)
    assert [weight.name for weight in read.weights] == ["own/w"]
    assert dagir.verify(read, {"Keras": made}, inputs=[X]).ok


def test_outside_of_a_trace_keras_is_as_it_was():
    made = model(CALLS["softmax"])
    dagir.from_keras(made)
    assert not isinstance(K.softmax(made.layers[1].w), keras.KerasTensor)
    assert not isinstance(made.layers[1].w + 1, keras.KerasTensor)
