"""Every layer takes Keras's arguments, in Keras's order, with Keras's defaults; exceptions stand here with a reason."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import inspect

import keras
import numpy as np
import pytest

import dagir
from dagir import layers

LAYERS = sorted(
    name
    for name in layers.__all__
    if isinstance(getattr(layers, name), type) and issubclass(getattr(layers, name), layers.Layer) and name != "Layer"
)
_PAIRS = "Keras writes an int for all axes as a tuple; both layers take both"
# (layer, argument): why dagir's differs, is missing or is more
CONSTRUCTOR = {
    ("LayerNormalization", "rms_scaling"): "Keras takes it among its keyword arguments, without naming it",
    **{
        (name, argument): _PAIRS
        for name in ("Conv2D", "Conv2DTranspose", "Conv3D", "Conv3DTranspose", "DepthwiseConv2D", "SeparableConv2D")
        for argument in ("strides", "dilation_rate")
    },
}
CALL = {
    "training": "every layer of dagir takes it, and drops it where its call does not name it",
    "mask": "where a layer does nothing with a mask, it is carried beside the value alone",
}


def parameters(function):
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    found = inspect.signature(function).parameters
    return {name: p.default for name, p in found.items() if p.kind not in kinds and name != "self"}


def same(first, second):
    """Equal, a list being as good as a tuple."""
    if isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        return list(first) == list(second)
    return first == second


@pytest.mark.parametrize("name", LAYERS)
def test_the_constructor_takes_what_keras_s_takes(name):
    mine, theirs = parameters(getattr(layers, name)), parameters(getattr(keras.layers, name))
    excused = {argument for layer, argument in CONSTRUCTOR if layer == name}
    missing = [each for each in theirs if each not in mine and each not in excused]
    assert not missing, f"{name} lacks {missing}"
    assert not [each for each in mine if each not in theirs and each not in excused], f"{name} takes more than Keras's"
    differ = {
        each: (mine[each], theirs[each])
        for each in theirs
        if each not in excused and not same(mine[each], theirs[each])
    }
    assert not differ, f"{name} has other defaults: {differ}"
    order = [each for each in mine if each not in excused]
    assert order == [each for each in theirs if each not in excused], f"{name} has another order"


@pytest.mark.parametrize("name", LAYERS)
def test_call_takes_what_keras_s_takes(name):
    theirs = parameters(getattr(keras.layers, name).call)
    mine = parameters(getattr(layers, name).call)
    named = list(theirs)[1:]  # the first is what the layer is called on, whatever its name
    missing = [each for each in named if each not in mine and each not in CALL]
    assert not missing, f"{name}.call lacks {missing}"


@pytest.mark.parametrize("name", LAYERS)
def test_base_arguments_are_taken_and_kept(name):
    cls = getattr(layers, name)
    if "kwargs" not in inspect.signature(cls.__init__).parameters:
        assert "kwargs" not in inspect.signature(getattr(keras.layers, name).__init__).parameters
        return
    required = [each for each, default in parameters(cls).items() if default is inspect.Parameter.empty]
    if required or name in ("InputLayer", "Reshape", "CategoryEncoding"):
        return  # test_saved_layers makes each of them with arguments, and compares the configuration
    layer = cls(name="own", trainable=False, dtype="float64")
    assert (layer.name, layer.trainable, layer.dtype) == ("own", False, "float64")
    again = cls.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    with pytest.raises(dagir.ArgumentError, match="no argument 'unheard_of'"):
        cls(unheard_of=3)


def test_exceptions_are_still_needed():
    for name, argument in CONSTRUCTOR:
        mine, theirs = parameters(getattr(layers, name)), parameters(getattr(keras.layers, name))
        assert (argument in mine) != (argument in theirs) or mine[argument] != theirs[argument]


def test_inputs_take_keras_s_arguments():
    assert list(parameters(dagir.Input)) == list(parameters(keras.Input))
    x = dagir.Input((4,), 3, "int32", False, False, None, "ids")
    assert (x.name, str(x.type)) == ("ids", "int32[3, 4]")
    for name in ("sparse", "ragged", "optional"):
        with pytest.raises(dagir.ArgumentError, match=f"takes no {name}"):
            dagir.Input((4,), **{name: True})
    with pytest.raises(dagir.ArgumentError, match="takes no tensor"):
        dagir.Input(tensor=np.zeros((3, 4)))


@pytest.mark.parametrize("name", ["compile", "fit", "evaluate", "predict"])
def test_training_takes_what_keras_s_takes(name):
    mine, theirs = parameters(getattr(dagir.Model, name)), parameters(getattr(keras.Model, name))
    own = ["backend"] if name == "predict" else []  # after Keras's, by name alone
    assert list(mine) == [*theirs, *own]
    assert {each: mine[each] for each in theirs} == theirs


def test_training_hands_on_what_it_is_given():
    seen = {}

    class Spy:
        def fit(self, **arguments):
            seen["fit"] = arguments

        def evaluate(self, **arguments):
            seen["evaluate"] = arguments

    x = dagir.Input(shape=(2,))
    model = dagir.Model(x, layers.Dense(1)(x))
    model._trainer = Spy()
    for name in ("fit", "evaluate"):
        given = {each: object() for each in parameters(getattr(keras.Model, name))}
        getattr(model, name)(**given)
        assert seen[name] == given
