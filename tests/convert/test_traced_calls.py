"""Calls that branch, hold state, draw random numbers, or add losses: taken, or refused by name, and nothing changed."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops as K

import dagir
from convert.agreement import agrees
from convert.zoo import randomize
from dagir.errors import UnsupportedLayer
from engines import building


def model(call, shape=(4,), **members):
    class Own(L.Layer):
        def build(self, shape):
            for name, make in members.items():
                setattr(self, name, make(self))

    Own.call = call
    x = keras.Input(shape, name="x")
    with building():
        return keras.Model(x, Own(name="own")(x))


POSITIVE, NEGATIVE = np.ones((1, 4), "float32"), -np.ones((3, 4), "float32")


def two_layers(self, x):
    return K.cond(K.max(x) > 0, lambda: self.one(x), lambda: self.other(x))


BRANCHES = {
    "one gives its input": lambda self, x: K.cond(K.mean(x) > 0, lambda: x, lambda: x * 3),
    "the other gives its input": lambda self, x: K.cond(K.mean(x) > 0, lambda: x * 3, lambda: x),
    "operands between": lambda self, x: K.cond(K.sum(x) > 0, lambda: K.exp(x) + 1, lambda: x - 2) * 2,
    "a structure": lambda self, x: K.cond(K.sum(x) > 0, lambda: (x, x * 2), lambda: (-x, x + 1)),
    "one within another": lambda self, x: K.cond(
        K.sum(x) > 0, lambda: K.cond(K.max(x) > 5, lambda: x, lambda: x + 1), lambda: x * x
    ),
    "not a number on the other side": lambda self, x: K.cond(K.min(x) > 0, lambda: K.log(x), lambda: x),
    "by a length": lambda self, x: K.cond(K.shape(x)[0] > 2, lambda: x, lambda: -x),
    "known in Python": lambda self, x: K.cond(True, lambda: x * 2, lambda: x),
}


@pytest.mark.parametrize("name", BRANCHES)
def test_both_branches_of_a_cond_are_taken(name):
    agrees(model(BRANCHES[name]), POSITIVE, NEGATIVE)


def test_layers_in_branches_keep_their_weights():
    made = model(two_layers, one=lambda self: L.Dense(3), other=lambda self: L.Dense(3))
    randomize(made)
    assert len(agrees(made, POSITIVE, NEGATIVE).weights) == 4


def test_a_cond_outside_of_layers_reads_tensors_that_keras_itself_cannot_feed():
    x = keras.Input((4,), name="x")
    with building():
        made = keras.Model(x, K.cond(K.mean(x) > 0, lambda: x + 1, lambda: x * 3))
    with pytest.raises(UnsupportedLayer, match="it uses a tensor that belongs to another graph"):
        dagir.from_keras(made)


def test_a_scan_outside_of_layers_is_taken():
    x = keras.Input(batch_shape=(5, 4), name="x")
    _, ys = K.scan(lambda carry, row: (carry + row, carry * row), K.zeros((4,)), x)
    made = keras.Model(x, ys)
    given = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    np.testing.assert_allclose(dagir.lower(dagir.from_keras(made), "onnx")(given), made(given), 1e-5, 1e-5)


def count(self, x):
    self.count.assign_add(1.0)
    return x * self.count


STATEFUL = {
    "assigned": (count, r"assigns the weight 'own/count' at inference, and a graph holds no state"),
    "drawn": (
        lambda self, x: x + keras.random.normal((4,), seed=self.seeds),
        r"draws random numbers at inference \(keras.random.normal\), and a graph gives the same answer each time",
    ),
    "drawn in the shape of x": (
        lambda self, x: x + keras.random.uniform(K.shape(x), seed=self.seeds),
        "draws random numbers at inference",
    ),
    "drawn from Keras's own generator": (lambda self, x: x * keras.random.normal((4,)), "draws random numbers"),
    "dropped out": (lambda self, x: keras.random.dropout(x, 0.5, seed=self.seeds), "draws random numbers"),
}


def stateful(call):
    made = model(
        call,
        count=lambda self: self.add_weight(shape=(), initializer="ones", name="count", trainable=False),
        seeds=lambda self: keras.random.SeedGenerator(3),
    )
    made.layers[1].count.assign(0.0)
    return made


@pytest.mark.parametrize("name", STATEFUL)
def test_state_and_chance_at_inference_are_refused_and_the_model_is_as_it_was(name):
    call, reason = STATEFUL[name]
    made = stateful(call)
    before = [K.convert_to_numpy(variable).copy() for variable in made.variables]
    with pytest.raises(UnsupportedLayer, match=f"layer 'own' \\(Own\\) cannot be taken: .*{reason}"):
        dagir.from_keras(made)
    for variable, value in zip(made.variables, before, strict=True):
        np.testing.assert_array_equal(K.convert_to_numpy(variable), value)


def in_training(self, x, training=False):
    if training:
        self.count.assign_add(1.0)
        x = x + keras.random.normal(K.shape(x), seed=self.seeds)
    return x * (self.count + 2)


def test_state_and_chance_in_training_are_no_matter():
    agrees(stateful(in_training), POSITIVE, NEGATIVE)


def test_numbers_drawn_by_a_fixed_seed_are_constants():
    agrees(model(lambda self, x: x + keras.random.normal((4,), seed=7)), POSITIVE)


def with_losses(self, x):
    self.add_loss(K.mean(x**2))
    self.add_loss(K.sum(keras.losses.binary_crossentropy(K.ones_like(x), K.sigmoid(x))))
    return x * 2


def test_losses_are_no_matter():
    made = model(with_losses)
    agrees(made, POSITIVE)
    made(POSITIVE)
    assert len(made.losses) == 2


def test_what_nobody_reads_need_not_be_taken():
    def call(self, x):
        K.real(x)
        return x + 1

    agrees(model(call), POSITIVE)
