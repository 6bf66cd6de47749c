"""Saved, loaded, saved, loaded: a layer without its class stays the same graph and numbers, however often."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import ops
from dagir.ir.rewriter import structurally_equal
from dagir.serialization import OpaqueLayer


class Scaled(keras.layers.Layer):
    """A layer of Keras's, to be traced."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), name="scale")

    def call(self, x):
        return x * self.scale


class Mixed(dagir.Layer):
    """Arguments that a file holds, or does not, and a layer within."""

    def __init__(self, how, **kwargs):
        super().__init__(**kwargs)
        self.how, self.inner = how, dagir.layers.Dense(4)

    def call(self, x):
        return self.inner(x) + 1

    def get_config(self):
        return {**super().get_config(), "how": self.how}


class Bare(dagir.Layer):
    """Has no configuration."""

    def get_config(self):
        raise NotImplementedError

    def call(self, x):
        return ops.tanh(x)


class Nothing(dagir.Layer):
    """Says that its configuration is empty."""

    def get_config(self):
        return {}

    def call(self, x):
        return ops.tanh(x) * 2


def traced():
    inner = keras.Input((None, 4))
    return dagir.from_keras(keras.Model(inner, Scaled()(inner)))


LAYERS = {
    "traced": traced,
    "plain": lambda: Mixed(3),
    "a function": lambda: Mixed(lambda x: x),
    "a layer": lambda: Mixed(dagir.layers.Dense(2)),
    "bare": Bare,
    "nothing": Nothing,
    "each step": lambda: dagir.layers.TimeDistributed(Bare()),
    "a lambda": lambda: dagir.layers.Lambda(lambda y: y + 1),
    "norm": dagir.layers.LayerNormalization,
    "masked": dagir.layers.Masking,
}


def opaque(model):
    layers = [layer for layer in model.layers if isinstance(layer, OpaqueLayer)]
    return [(layer.class_name, layer.name, repr(layer.get_config())) for layer in layers]


def check(names, rounds, path):
    x = y = dagir.Input((5, 4), name="x")
    for name in names:
        y = LAYERS[name]()(y)
    model = dagir.Model(x, y)
    array = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    wanted = dagir.lower(model)(array)
    known = model
    for _ in range(rounds):
        known.save(path)
        found = dagir.load(path)
        assert structurally_equal(found.graph, model.graph)
        np.testing.assert_array_equal(dagir.lower(found)(array), wanted)
        assert known is model or opaque(found) == opaque(known)
        known = found
    assert dagir.verify(known, ["onnx"], array).ok


@pytest.mark.parametrize("name", LAYERS)
def test_each_layer_three_times(name, tmp_path):
    check([name], 3, tmp_path / "m.dagir")


@given(names=st.lists(st.sampled_from(sorted(LAYERS)), min_size=1, max_size=4), rounds=st.integers(1, 5))
def test_models_of_them(names, rounds, tmp_path_factory):
    check(names, rounds, tmp_path_factory.mktemp("rounds") / "m.dagir")


def test_a_layer_without_configuration_still_asks_for_its_own_class(tmp_path):
    x = dagir.Input((5, 4), name="x")
    dagir.Model(x, Bare()(x)).save(tmp_path / "m.dagir")
    dagir.load(tmp_path / "m.dagir").save(tmp_path / "m.dagir")
    with pytest.raises(dagir.FileError, match="was not plain data"):
        dagir.load(tmp_path / "m.dagir", custom_objects={"Bare": Bare})
