"""Layers come back as what they were; custom layers from their graph, or from their class where it is given."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from test_round_trip import again, assert_same, described, feeds, run

import dagir
from dagir import layers, ops
from dagir.errors import ArgumentError, FileError, ShapeError
from dagir.ir.nest import map_structure
from dagir.modeling.model import Model
from dagir.serialization import OpaqueLayer
from examples import EXAMPLES, LAYERS

CLASSES = sorted({getattr(layers, name) for name in LAYERS}, key=lambda cls: cls.__name__)


def example(cls):
    """A model of one layer of this class."""
    found = EXAMPLES[cls.__name__]
    inputs = [dagir.Input(shape, dtype=found.dtype, name=f"x{place}") for place, shape in enumerate(found.shapes)]
    layer = found.make(dagir, cls.__name__)
    model = Model(inputs if len(inputs) > 1 else inputs[0], found.call(layer, inputs))
    rng = np.random.default_rng(0)
    for weight in () if found.fixed else model.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


def plain(config):
    return map_structure(lambda leaf: leaf.name if isinstance(leaf, layers.Layer) else leaf, config)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_layer_is_made_again(cls, tmp_path):
    model = example(cls)
    loaded = again(model, tmp_path / "m.dagir")
    assert described(loaded) == described(model)
    (old,), (new,) = ([x for x in m.layers if type(x) is not layers.InputLayer] for m in (model, loaded))
    assert type(new) is cls and new.weights == loaded.weights
    assert plain(new.get_config()) == plain(old.get_config())
    for before, after in zip(old.weights, new.weights, strict=True):
        np.testing.assert_array_equal(before.array, after.array)
    if len(loaded.inputs) == 1:
        new(loaded.inputs[0])
        assert len(new.weights) == len(old.weights)


class Scale(dagir.Layer):
    def __init__(self, units, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.inner = layers.Dense(units, activation)

    def build(self, input_shape):
        self.factor = self.add_weight((self.units,), "ones", name="factor")
        self.offset = self.add_weight((self.units,), "zeros", name="offset", trainable=False)

    def call(self, x):
        return self.inner(x) * self.factor + self.offset

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def scaled():
    x = dagir.Input((3,), name="x")
    layer = Scale(3, name="scale")
    model = Model(x, layers.Dense(2)(layer(layer(x))))
    for i, weight in enumerate(model.weights):
        weight.assign(np.random.default_rng(i).normal(size=weight.shape))
    return model


def test_a_custom_layer_runs_from_its_graph(tmp_path):
    model = scaled()
    loaded = again(model, tmp_path / "m.dagir")
    layer = loaded.get_layer("scale")
    assert isinstance(layer, OpaqueLayer) and layer.class_name == "Scale"
    assert [w.name for w in layer.weights] == [w.name for w in model.get_layer("scale").weights]
    assert layer.get_config() == {"name": "scale", "trainable": True, "dtype": "float32", "units": 3}
    assert_same(model, loaded)
    assert_same(model, again(loaded, tmp_path / "m.dagir"))


def test_a_custom_layer_is_made_again_from_its_class(tmp_path):
    model = scaled()
    loaded = again(model, tmp_path / "m.dagir", custom_objects={"Scale": Scale})
    layer = loaded.get_layer("scale")
    assert type(layer) is Scale and layer.factor in loaded.weights and layer.inner.kernel in loaded.weights
    assert described(loaded) == described(model)
    assert_same(model, loaded)


def test_an_opaque_layer_can_be_called_on_other_values(tmp_path):
    model = scaled()
    loaded = again(model, tmp_path / "m.dagir")
    with pytest.raises(ShapeError):
        loaded.get_layer("scale")(dagir.Input((5,)))
    y = dagir.Input(batch_shape=(2, 3))
    first, second = (Model(y, m.get_layer("scale")(y)) for m in (model, loaded))
    assert_same(first, second)
    with pytest.raises(ArgumentError, match="was loaded without its class Scale, and is called in another way"):
        loaded.get_layer("scale")(y, y)


def test_a_layer_with_a_function_that_has_no_name_keeps_its_graph(tmp_path):
    x = dagir.Input((3,))
    model = Model(x, layers.Dense(2, activation=lambda v: ops.relu(v) * 2)(x))
    loaded = again(model, tmp_path / "m.dagir")
    assert isinstance(loaded.get_layer("dense"), OpaqueLayer)
    assert_same(model, loaded)


def test_a_function_of_dagir_is_kept_by_name(tmp_path):
    x = dagir.Input((3,))
    model = Model(x, layers.Dense(2, activation=ops.relu, kernel_initializer=lambda s, d: np.ones(s, d.numpy))(x))
    loaded = again(model, tmp_path / "m.dagir")
    assert loaded.get_layer("dense").get_config()["activation"] is ops.relu
    assert_same(model, loaded)


def test_a_process_without_the_class_loads_and_runs(tmp_path):
    model = scaled()
    path = tmp_path / "m.dagir"
    model.save(path)
    array = feeds(model)[0]
    code = f"""
        import numpy as np, sys, dagir
        model = dagir.load({str(path)!r})
        x = np.frombuffer(bytes.fromhex({array.tobytes().hex()!r}), np.float32).reshape({array.shape})
        print(model.predict(x, backend='numpy').tobytes().hex(), model.get_layer("scale"), "test_layers" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    numbers, rest = done.stdout.strip().split(" ", 1)
    assert bytes.fromhex(numbers) == run(model, [array]).tobytes()
    assert rest == "<Scale name=scale, loaded without its class> False"


def test_custom_objects_that_do_not_fit(tmp_path):
    path = tmp_path / "m.dagir"
    scaled().save(path)
    with pytest.raises(ArgumentError, match="no subclass of Layer"):
        dagir.load(path, custom_objects={"Scale": 3})

    class Other(dagir.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)

    with pytest.raises(FileError, match=r"layers\[\d\]: Scale refuses its configuration.*units"):
        dagir.load(path, custom_objects={"Scale": Other})


def test_a_model_inside_a_custom_layer(tmp_path):
    class Holder(dagir.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            source = dagir.Input((4,))
            self.classifier = Model(source, layers.Dense(1, "sigmoid")(source), name="classifier")

        def call(self, x):
            return self.classifier(ops.relu(x))

    x = dagir.Input((4,))
    model = Model(x, Holder()(x))
    for custom in (None, {"Holder": Holder}):
        loaded = again(model, tmp_path / "m.dagir", custom_objects=custom)
        assert len(loaded.weights) == 2
        assert_same(model, loaded)


def test_weights_of_different_layers_can_be_one_array(tmp_path):
    x = dagir.Input((3,))
    first, second = layers.Dense(3, use_bias=False), layers.Dense(3, use_bias=False)
    model = Model(x, second(first(x)))
    second.kernel.assign(first.kernel.array)
    loaded = again(model, tmp_path / "m.dagir")
    assert len(loaded.weights) == 2 and loaded.weights[0].array is loaded.weights[1].array
    assert_same(model, loaded)
