"""Classes of layers are known by what they are: two of one name, or one named as a layer of dagir's, stay apart."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest

import dagir
from dagir import layers, ops
from dagir.errors import ArgumentError
from dagir.serialization import OpaqueLayer

FEED = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")


class Scale(dagir.Layer):
    """Twice what comes in."""

    def call(self, x):
        return x * 2.0


class Dense(dagir.Layer):
    """A layer of a user's that bears the name of one of dagir's."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def call(self, x):
        return x + float(self.units)


def another():
    """A class of the same name that computes something else."""

    class Scale(dagir.Layer):
        def call(self, x):
            return x * 5.0

    return Scale


Other, Third = another(), another()
Third.call = lambda self, x: x * 7.0
NAMES = [f"{__name__}.Scale", f"{__name__}.another.<locals>.Scale", f"{__name__}.another.<locals>.Scale#2"]


def scales():
    x = dagir.Input((4,), name="x")
    return dagir.Model(x, Third(name="c")(Other(name="b")(Scale(name="a")(x))))


def denses():
    x = dagir.Input((4,), name="x")
    return dagir.Model(x, layers.Dense(3, name="b")(Dense(6, name="a")(x)))


def saved(model, tmp_path, custom=None):
    model.save(tmp_path / "m.dagir")
    return dagir.load(tmp_path / "m.dagir", custom_objects=custom)


def same(model, found):
    found.set_weights(model.get_weights())
    np.testing.assert_array_equal(found.predict(FEED), model.predict(FEED))
    x = dagir.Input((4,))
    np.testing.assert_array_equal(dagir.Model(x, found(x)).predict(FEED), model.predict(FEED))
    return [type(layer) for layer in found.layers][1:]


@pytest.mark.parametrize("make", [scales, denses])
@pytest.mark.parametrize("way", [dagir.clone, copy.deepcopy])
def test_a_copy_has_the_classes_themselves(make, way):
    model = make()
    assert same(model, way(model)) == [type(layer) for layer in model.layers][1:]
    anew = dagir.clone(way(model))
    assert same(model, anew) == [type(layer) for layer in model.layers][1:]


def test_a_pickled_model_has_the_classes_themselves():
    model = denses()
    assert same(model, pickle.loads(pickle.dumps(model))) == [Dense, layers.Dense]


def test_a_file_tells_classes_of_one_name_apart(tmp_path):
    model = scales()
    assert same(model, saved(model, tmp_path)) == [OpaqueLayer] * 3
    custom = dict(zip(NAMES, (Scale, Other, Third), strict=True))
    assert same(model, saved(model, tmp_path, custom)) == [Scale, Other, Third]
    with pytest.raises(
        ArgumentError, match="'Scale', and classes of this name are in the model more than once"
    ) as told:
        saved(model, tmp_path, {"Scale": Other})
    assert NAMES[1] in str(told.value)


def test_a_file_tells_a_class_named_as_one_of_dagirs(tmp_path):
    model = denses()
    assert same(model, saved(model, tmp_path)) == [OpaqueLayer, layers.Dense]
    assert same(model, saved(model, tmp_path, {"Dense": Dense})) == [Dense, layers.Dense]


def test_a_layer_without_its_class_is_not_made_of_another_of_the_name(tmp_path):
    loaded = saved(dagir.Sequential([dagir.Input((4,)), Other(name="old")]), tmp_path)
    x = dagir.Input((4,), name="x")
    model = dagir.Model(x, Scale(name="new")(loaded.layers[0](x)))
    assert same(model, copy.deepcopy(model)) == [OpaqueLayer, Scale]
    assert same(model, saved(model, tmp_path, {NAMES[0]: Scale})) == [OpaqueLayer, Scale]


def test_a_configuration_tells_classes_apart():
    model = scales()
    config = json.loads(json.dumps(model.get_config()))
    custom = dict(zip(NAMES, (Scale, Other, Third), strict=True))
    assert same(model, dagir.Model.from_config(config, custom)) == [Scale, Other, Third]
    with pytest.raises(ArgumentError, match="more than once"):
        dagir.Model.from_config(config, {"Scale": Scale})
    model = denses()
    config = json.loads(json.dumps(model.get_config()))
    for custom in ({"Dense": Dense}, {f"{__name__}.Dense": Dense}):
        assert same(model, dagir.Model.from_config(config, custom)) == [Dense, layers.Dense]
    with pytest.raises(ArgumentError, match=r"of the class .*\.Dense, which is not known"):
        dagir.Model.from_config(config)


# ---- what a reader has set on a layer


def test_what_readers_set_is_part_of_the_configuration(tmp_path):
    x = dagir.Input((4,), name="x")
    table = layers.Embedding(5, 2, name="table")
    table.takes_floats = True
    terms = dagir.Input((4,), dtype="int64", name="terms")
    lookup = layers.IntegerLookup(vocabulary=[3, 5], output_mode="multi_hot", name="lookup")
    lookup.counts_in = dagir.DType.INT64
    model = dagir.Model([x, terms], [table(x), lookup(terms)])
    feeds = [np.array([[0.5, 1.5, 3.0, 4.9]], "float32"), np.array([[3, 5, 3, 1]])]
    before = model.predict(feeds)
    for way in (dagir.clone, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), lambda m: saved(m, tmp_path)):
        found = way(way(model))
        found.set_weights(model.get_weights())
        assert found.get_layer("table").takes_floats and found.get_layer("lookup").counts_in is dagir.DType.INT64
        anew = dagir.Model.from_config(json.loads(json.dumps(found.get_config())))
        anew.set_weights(model.get_weights())
        again = dagir.Model(found.inputs, [found.get_layer("table")(found.inputs[0]), found.outputs[1]])
        for each in (found, anew, again):
            for wanted, given in zip(before, each.predict(feeds), strict=True):
                assert wanted.dtype == given.dtype
                np.testing.assert_array_equal(wanted, given)
    for layer in (table, lookup):
        for found in (copy.copy(layer), copy.deepcopy(layer), type(layer).from_config(layer.get_config())):
            assert found.get_config().items() >= {key: vars(layer)[key] for key in layer.set_by_readers}.items()


# ---- layers that hold one whose class is not at hand


class Bent(dagir.Layer):
    def call(self, x):
        return ops.tanh(x) * 0.5


@pytest.mark.parametrize("wrap", [lambda layer: layer, layers.Bidirectional, layers.RNN], ids=["", "both ways", "RNN"])
@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
@pytest.mark.parametrize("activation", [Bent(name="bent"), lambda x: ops.tanh(x) * 2], ids=["layer", "function"])
def test_a_recurrent_layer_with_an_activation_of_ones_own(kind, wrap, activation, tmp_path):
    x = dagir.Input((5, 4), name="x")
    make = getattr(layers, f"{kind}Cell" if wrap is layers.RNN else kind)
    model = dagir.Model(x, wrap(make(3, activation=activation))(x))
    feed = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    found = saved(saved(model, tmp_path), tmp_path)
    assert type(found.layers[1]) is OpaqueLayer
    copied = copy.deepcopy(model)
    for each in (found, copied, copy.deepcopy(found), saved(copied, tmp_path)):
        np.testing.assert_array_equal(each.predict(feed), model.predict(feed))
    if isinstance(activation, Bent):
        found = saved(model, tmp_path, {"Bent": Bent})
        assert type(found.layers[1]) is type(model.layers[1])
        np.testing.assert_array_equal(found.predict(feed), model.predict(feed))
