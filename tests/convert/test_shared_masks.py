"""Several layers on one masked sequence: MultiHeadAttention takes the mask, so Keras's order decides who finds it."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as L

import dagir
from convert.zoo import randomize

pytestmark = pytest.mark.filterwarnings("ignore:.*does not support masking:UserWarning")

IDS = [
    np.array([[3, 2, 5, 2, 0, 0], [1, 2, 2, 3, 4, 0]], "int32"),
    np.array([[1, 4, 7, 0, 0, 0], [6, 2, 2, 1, 4, 1]], "int32"),
]


def heads():
    return L.MultiHeadAttention(2, 4)


def both(inputs):
    table = L.Embedding(10, 8, mask_zero=True)
    return [table(x) for x in inputs]


def inputs():
    return [keras.Input((6,), dtype="int32", name=name) for name in "ab"]


def agrees(made, path):
    """From memory and from the file, with what Keras predicts."""
    randomize(made)
    made.save(path)
    want = keras.tree.flatten(made.predict(IDS, verbose=0))
    for source in (made, path):
        found = keras.tree.flatten(dagir.lower(dagir.from_keras(source), "numpy")(IDS))
        for mine, theirs in zip(found, want, strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-5)


NETWORKS = {
    "co-attention": lambda q, v: L.Concatenate(axis=1)([heads()(q, v), heads()(v, q)]),
    "two heads on one text": lambda q, v: [L.Concatenate()([heads()(q, q), heads()(q, q)]), v],
    "two outputs": lambda q, v: [heads()(q, v), heads()(v, q)],
    "another attention": lambda q, v: [heads()(q, v), L.Attention()([q, v])],
    "another attention first": lambda q, v: [L.Attention()([q, v]), heads()(q, v)],
    "a dict": lambda q, v: {"b": heads()(q, v), "a": heads()(v, q)},
    "deeper": lambda q, v: [heads()(q, v), L.Dense(3)(L.Dense(4)(L.Attention()([q, v])))],
    "what is deeper runs first": lambda q, v: L.Add()([L.Attention()([q, v]), L.Dense(8)(L.Dense(8)(heads()(q, v)))]),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_order_of_a_functional_model(name, tmp_path):
    given = inputs()
    agrees(keras.Model(given, NETWORKS[name](*both(given))), tmp_path / "m.keras")


@pytest.mark.parametrize("name", ["two outputs", "another attention", "what is deeper runs first"])
def test_the_order_of_a_nested_model(name, tmp_path):
    inner = [keras.Input((6, 8)), keras.Input((6, 8))]
    nested = keras.Model(inner, NETWORKS[name](*inner))
    given = inputs()
    agrees(keras.Model(given, nested(both(given))), tmp_path / "m.keras")


@pytest.mark.parametrize("seed", range(8))
def test_the_order_of_drawn_models(seed, tmp_path):
    """Shared layers at several depths, with one output or many."""
    rng = np.random.default_rng(seed)
    given = inputs()
    known = both(given)
    shared = [heads(), heads()]
    for _ in range(6):
        x, y = (known[place] for place in rng.integers(0, len(known), 2))
        kind = rng.integers(0, 5)
        if kind < 2:
            known.append(shared[rng.integers(2)](x, y))
        else:
            make = [heads(), lambda x, y: L.Attention()([x, y]), lambda x, y: L.Multiply()([x, y])][kind - 2]
            known.append(make(x, y))
    outputs = known[-1 - int(rng.integers(0, 4)) :]
    agrees(keras.Model(given, [*outputs, *known[:2]]), tmp_path / "m.keras")


class Block(L.Layer):
    """Runs its attentions in the order in which it writes them, and uses them in another."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.second = heads(), heads()

    def call(self, q, v):
        x = self.first(q, v)
        return self.second(v, q) - x


def test_the_order_of_a_call_of_ones_own():
    given = inputs()
    made = keras.Model(given, Block()(*both(given)))
    randomize(made)
    found = dagir.lower(dagir.from_keras(made), "numpy")(IDS)
    np.testing.assert_allclose(found, made.predict(IDS, verbose=0), atol=1e-5)


class Reader(keras.Model):
    def __init__(self):
        super().__init__()
        self.table, self.heads, self.memory = L.Embedding(10, 8, mask_zero=True), heads(), L.LSTM(3)

    def call(self, ids):
        x = self.table(ids)
        found = keras.ops.mean(self.heads(x, x), axis=1)
        return keras.ops.concatenate([found, self.memory(x)], axis=-1)  # the memory finds no mask any more


def test_the_order_of_a_subclassed_model():
    made = Reader()
    made(IDS[0])
    randomize(made)
    read = dagir.from_keras(made, inputs=dagir.Input((6,), dtype="int32"))
    np.testing.assert_allclose(dagir.lower(read, "numpy")(IDS[0]), made.predict(IDS[0], verbose=0), atol=1e-5)
