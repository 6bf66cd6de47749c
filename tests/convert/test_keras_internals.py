"""What is read of Keras without a public name: where a Keras lacks it, one error says what, and which version."""

from __future__ import annotations

import sys

import keras
import pytest
from keras import layers as L
from keras import ops as K

import dagir
from dagir.errors import BackendError


class Own(L.Layer):
    def build(self, shape):
        self.w = self.add_weight(shape=(3,), name="w")

    def call(self, x):
        return K.sin(x) * self.w


class Stack(keras.Model):
    def __init__(self):
        super().__init__()
        self.own = Own()

    def call(self, x, training=False):
        return self.own(x)


def functional():
    x = keras.Input((3,), name="x")
    return keras.Model(x, Own(name="own")(x))


def sequential():
    return keras.Sequential([keras.Input((3,)), L.Dense(2)])


def subclassed():
    made = Stack()
    made(K.ones((2, 3)))
    return made


OF_CLASSES = [
    *(("keras.src.ops.operation", "Operation", name) for name in ("symbolic_call",)),
    *(("keras.src.layers.layer", "Layer", name) for name in ("add_loss", "_maybe_build", "_flatten_layers")),
    *(("keras.src.backend.common.variables", "Variable", name) for name in ("assign", "__add__", "__rmatmul__")),
    ("keras.src.random.seed_generator", "SeedGenerator", "next"),
    ("keras.src.dtype_policies.dtype_policy", "DTypePolicy", "convert_input"),
    ("keras.src.ops.core", "Cond", "call"),
]
OF_MODULES = [
    (L.Layer.symbolic_call.__module__, "Node"),
    ("keras.src.ops.core", "Cond"),
    ("keras.src.ops.operation", "Operation"),
    ("keras.src.models.functional", "Functional"),
    *(("keras.src.backend", name) for name in ("core", "numpy", "random")),
    ("keras.src.backend.{}.core", "slice"),
    *(("keras.src.backend.{}.numpy", name) for name in ("zeros", "eye", "tile")),
    *(("keras.src.backend.{}.random", name) for name in ("dropout", "shuffle", "categorical")),
]
OF_OBJECTS = {
    "_functional": (sequential, lambda made: made),
    "_inputs_struct": (functional, lambda made: made),
    "_outputs_struct": (functional, lambda made: made),
    "_nodes_by_depth": (functional, lambda made: made),
    "_inbound_nodes": (functional, lambda made: made.layers[1]),
    "_keras_history": (functional, lambda made: made.outputs[0]),
    "_build_shapes_dict": (subclassed, lambda made: made),
    "_call_has_training_arg": (subclassed, lambda made: made),
}


def refused(made, name):
    with pytest.raises(BackendError, match=f"Keras {keras.__version__} has no keras.*{name}") as error:
        dagir.from_keras(made)
    assert "\n" not in error.value.summary
    assert "read the file" in error.value.remedy


@pytest.mark.parametrize(("module", "cls", "name"), OF_CLASSES)
def test_a_method_that_is_gone(module, cls, name, monkeypatch):
    made = functional()
    owner = getattr(sys.modules[module], cls)
    before = dict(vars(keras.Variable))
    monkeypatch.delattr(owner, name)
    if getattr(owner, name, None) is not None:
        pytest.skip("a base class has it too")
    refused(made, name)
    monkeypatch.undo()
    assert dict(vars(keras.Variable)) == before  # no patch is left behind
    dagir.from_keras(made)


@pytest.mark.parametrize(("module", "name"), OF_MODULES)
def test_what_a_module_has_no_more(module, name, monkeypatch):
    made = functional()
    monkeypatch.delattr(sys.modules[module.format(keras.backend.backend())], name)
    refused(made, name)
    monkeypatch.undo()
    dagir.from_keras(made)


@pytest.mark.parametrize("name", OF_OBJECTS)
def test_an_attribute_that_is_gone(name):
    make, owner = OF_OBJECTS[name]
    made = make()
    dagir.from_keras(made)
    delattr(owner(made), name)
    refused(made, name)
