"""copy and pickle: a model or a layer of its own, with the same weights, whatever is done to the first."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import dagir
from dagir import layers, ops

WAYS = {
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
}
FEED = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


class Scaled(dagir.Layer):
    """A layer of a user's, which takes others by another name than kwargs."""

    def __init__(self, factor, inner, **others):
        super().__init__(**others)
        self.factor, self.inner = factor, inner

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="uniform", name="scale")

    def call(self, x):
        return self.inner(x * self.scale) * self.factor


class Net(dagir.Model):
    """A model of a user's."""

    def __init__(self, units, **others):
        super().__init__(**others)
        self.units = units
        self.first, self.second = layers.Dense(units), layers.Dense(2)

    def call(self, x):
        return self.second(self.first(x))


def shared():
    x = dagir.Input((5, 4), name="x")
    dense = layers.Dense(4, name="dense")
    nested = dagir.Model(x, layers.BatchNormalization()(dense(x)), name="nested")
    return dagir.Model(x, dense(nested(nested(x))) + np.ones(4, "float32"), name="shared")


def custom():
    x = dagir.Input((5, 4), name="x")
    return dagir.Model(x, Scaled(2.0, layers.Dense(3), name="scaled")(x))


def recurrent():
    return dagir.Sequential([dagir.Input((5, 4)), layers.Bidirectional(layers.LSTM(3)), layers.Dense(1)])


def subclassed():
    net = Net(3, name="net")
    net(dagir.Input((5, 4)))
    return net


@pytest.mark.parametrize("make", [shared, custom, recurrent, subclassed])
def test_a_model_is_copied_with_its_weights(make, way):
    model = make()
    found = way(model)
    assert type(found) is type(model) and found.name == model.name
    assert [type(layer) for layer in found.layers] == [type(layer) for layer in model.layers]
    assert [weight.name for weight in found.weights] == [weight.name for weight in model.weights]
    before = model.predict(FEED)
    np.testing.assert_array_equal(found.predict(FEED), before)
    assert not set(found.weights) & set(model.weights) and not set(found.layers) & set(model.layers)
    for weight in found.weights:
        weight.assign(weight.array + 1)
    np.testing.assert_array_equal(model.predict(FEED), before)
    assert not np.array_equal(found.predict(FEED), before)


def test_what_was_shared_is_shared(way):
    found = way(shared())
    assert len(found.weights) == len(shared().weights)
    assert found.get_layer("dense") is found.get_layer("nested").get_layer("dense")


def test_layers_copied_beside_their_model_are_its_layers():
    model = shared()
    found, dense = copy.deepcopy([model, model.get_layer("dense")])
    assert dense is found.get_layer("dense")


@pytest.mark.parametrize("built", [True, False])
@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dense(3, name="d", activation="relu"),
        lambda: layers.Bidirectional(layers.GRU(3)),
        lambda: layers.MultiHeadAttention(2, 3),
        lambda: Scaled(2.0, layers.Dense(3)),
        lambda: dagir.Sequential([layers.Dense(3), layers.Dense(2)]),
        lambda: Net(3),
    ],
)
def test_a_layer_alone(make, built, way):
    layer = make()
    inputs = dagir.Input((5, 4), name="x")
    call = (
        (lambda layer: layer(inputs, inputs)) if "MultiHead" in type(layer).__name__ else (lambda layer: layer(inputs))
    )
    if built:
        call(layer)
        layer.trainable = False
    found = way(layer)
    assert type(found) is type(layer) and found is not layer and found.built == layer.built
    assert found.trainable == layer.trainable
    for one, other in zip(found.get_weights(), layer.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    if built:
        models = [dagir.Model(inputs, call(each)) for each in (layer, found)]
        np.testing.assert_array_equal(*(model.predict(FEED) for model in models))


def test_a_loaded_model_is_copied(way, tmp_path):
    custom().save(tmp_path / "m.dagir")
    loaded = dagir.load(tmp_path / "m.dagir")
    np.testing.assert_array_equal(way(loaded).predict(FEED), loaded.predict(FEED))
    with pytest.raises(dagir.ArgumentError, match="loaded without its class Scaled, so it cannot be copied alone"):
        way(loaded.get_layer("scaled"))


def test_what_cannot_be_copied_says_so(way):
    model = shared()
    for part in (model.inputs[0], ops.exp(model.inputs[0]).node):
        with pytest.raises(dagir.ArgumentError, match="of a graph cannot be copied or pickled alone"):
            way(part)


class Forgetful(dagir.Layer):
    """Its configuration does not say what it is made of."""

    def __init__(self, inner=None, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, x):
        return self.inner(x)

    def get_config(self):
        return {"name": self.name}


def test_a_layer_whose_configuration_is_not_enough_says_so(way):
    layer = Forgetful(layers.Dense(2), name="f")
    layer(dagir.Input((3,)))
    with pytest.raises(dagir.ArgumentError, match="layer 'f' cannot be copied: Forgetful made from its configuration"):
        way(layer)
