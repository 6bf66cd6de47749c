"""What a file names and does not hold: layers, functions and lambdas of the user's, given by custom_objects."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops as K
from keras.src.legacy.saving import legacy_h5_format

import dagir
from dagir.errors import ArgumentError, FileError, UnsafeFile, UnsupportedLayer

FILES = Path(__file__).parent / "custom_files"
FEED = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)


def answers(path, feed=FEED, **how):
    return dagir.lower(dagir.from_keras(path, **how))(feed)


def agree(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-6)


# ---- as older Kerases wrote it


class Scale(dagir.Layer):
    def __init__(self, power=1, **kwargs):
        super().__init__(**kwargs)
        self.power = power

    def build(self, input_shape):
        self.w, self.v = (self.add_weight((input_shape[-1],), name=name) for name in "wv")

    def call(self, x):
        return (x * self.w + self.v) ** self.power


class KerasScale(L.Layer):
    def __init__(self, power=1, **kwargs):
        super().__init__(**kwargs)
        self.power = power

    def build(self, shape):
        self.w, self.v = (self.add_weight(shape=(shape[-1],), name=name) for name in "wv")

    def call(self, x):
        return (x * self.w + self.v) ** self.power


def leaky(x):
    return K.minimum(K.leaky_relu(x, 0.1), 2.0)


def in_dagir(x):
    return dagir.ops.minimum(dagir.ops.leaky_relu(x, 0.1), 2.0)


LAMBDAS = {
    "of dagir": [in_dagir, lambda x: x - 1, lambda x, by: x * by, dagir.ops.square],
    "of keras": [leaky, lambda x: K.subtract(x, 1), lambda x, by: K.multiply(by, x), K.square],
}


@pytest.mark.parametrize("scale", [Scale, KerasScale])
@pytest.mark.parametrize("written", list(LAMBDAS))
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_file_of_keras_2(suffix, written, scale):
    given = {"Scale": scale, "<lambda>": LAMBDAS[written]}
    with np.load(FILES / "custom.npz") as known:
        agree(answers(FILES / f"tf215_custom{suffix}", known["x"], custom_objects=given), known["y"])
        first, second, _, last = LAMBDAS[written]
        given = {"pkg>Scale": scale, "<lambda>": [first, last], "minus": second, "twice": lambda x, by: x * by}
        agree(answers(FILES / f"tf215_custom{suffix}", known["x"], custom_objects=given), known["y"])


def test_what_is_missing_is_named_with_what_to_pass():
    with pytest.raises(UnsafeFile) as caught:
        dagir.from_keras(FILES / "tf215_custom.h5")
    text = str(caught.value)
    for words in ("sc", "minus", "twice", "<lambda>", "never run"):
        assert words in text
    for remedy in ("{'pkg>Scale': ", "{'<lambda>': "):
        assert f"custom_objects={remedy}" in text


def test_lambdas_are_counted():
    given = {"Scale": Scale, "minus": dagir.ops.square, "twice": lambda x, by: x * by}
    for count, kind in ((1, UnsupportedLayer), (3, ArgumentError)):
        with pytest.raises(kind, match="one for each lambda in the order of the file"):
            dagir.from_keras(
                FILES / "tf215_custom.h5", custom_objects={**given, "<lambda>": [dagir.ops.square] * count}
            )
    with pytest.raises(UnsupportedLayer, match="which is no function"):
        dagir.from_keras(FILES / "tf215_custom.h5", custom_objects={**given, "<lambda>": 3})


# ---- as today's writes it


@keras.saving.register_keras_serializable("tests")
class Block(L.Layer):
    """Layers as attributes whose order is not that of their making, of one shape."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.second, self.first = L.Dense(units), L.Dense(units)
        self.more = [L.Dense(units), L.BatchNormalization()]

    def build(self, shape):
        self.gain = self.add_weight(shape=(self.units,), initializer="random_normal", name="gain")
        for layer in (self.second, self.first, *self.more):
            layer.build((None, self.units))

    def call(self, x):
        return self.more[1](self.more[0](K.tanh(self.first(self.second(x) ** 2)))) * self.gain

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class DagirBlock(dagir.Layer):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        D = dagir.layers
        self.more, self.first, self.second = [D.Dense(units), D.BatchNormalization()], D.Dense(units), D.Dense(units)

    def build(self, input_shape):
        self.gain = self.add_weight((input_shape[-1],), name="gain")

    def call(self, x):
        return self.more[1](self.more[0](dagir.ops.tanh(self.first(self.second(x) ** 2)))) * self.gain


class OtherNames(dagir.Layer):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        D = dagir.layers
        self.more, self.one, self.two = [D.Dense(units), D.BatchNormalization()], D.Dense(units), D.Dense(units)

    build = DagirBlock.build

    def call(self, x):
        return self.more[1](self.more[0](dagir.ops.tanh(self.one(self.two(x) ** 2)))) * self.gain


@keras.saving.register_keras_serializable("tests")
def squashed(x):
    return x * K.sigmoid(1.7 * x)


class Net(keras.Model):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units, self.block, self.head = units, Block(units), L.Dense(units, activation=squashed)

    def call(self, x):
        return self.head(self.block(x))

    def get_config(self):
        return {"units": self.units, "name": self.name}


def randomized(model):
    rng = np.random.default_rng(2)
    model.set_weights([rng.uniform(0.2, 1, weight.shape) for weight in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def custom(tmp_path_factory):
    """The paths by suffix of a model with everything of one's own, and its answers."""
    folder = tmp_path_factory.mktemp("custom")
    x = keras.Input((3,))
    y = L.Dense(3, activation=squashed)(Block(3, name="own")(x))
    y = Net(3)(L.Lambda(lambda t: t * 2, name="twice")(y))
    y = L.Bidirectional(L.SimpleRNN(2, activation=squashed))(L.Reshape((3, 1))(y))
    made = randomized(keras.Model(x, y))
    for suffix in (".keras", ".h5"):
        made.save(folder / f"m{suffix}")
    return {suffix: folder / f"m{suffix}" for suffix in (".keras", ".h5")}, np.asarray(made(FEED))


@pytest.mark.parametrize("written", ["m.weights.h5", "old.h5"])
def test_weights_alone_with_an_architecture_that_names_them(tmp_path, written):
    x = keras.Input((3,))
    made = randomized(keras.Model(x, L.Dense(2, activation=squashed)(Block(3)(x))))
    made.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "old.h5", "w") as file:  # as Keras 2 wrote it; today's only reads it
        legacy_h5_format.save_weights_to_hdf5_group(file, made)
    (tmp_path / "m.json").write_text(made.to_json())
    how = {"architecture": tmp_path / "m.json", "custom_objects": {"Block": Block, "squashed": squashed}}
    agree(answers(tmp_path / written, **how), np.asarray(made(FEED)))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_classes_and_functions_of_keras(custom, suffix):
    paths, wanted = custom
    given = {"Block": Block, "squashed": squashed, "Net": Net, "<lambda>": lambda t: t * 2}
    agree(answers(paths[suffix], custom_objects=given), wanted)
    given = {"tests>Block": Block, "tests>squashed": squashed, "Net": Net, "twice": lambda t: t * 2}
    model = dagir.from_keras(paths[suffix], custom_objects=given)
    assert dagir.verify(model).ok
    agree(dagir.lower(model)(FEED), wanted)


def test_a_layer_of_layers_is_matched_by_its_attributes(tmp_path):
    x = keras.Input((3,))
    made = randomized(keras.Model(x, Block()(x)))
    made.save(tmp_path / "m.keras")
    for given in ({"Block": DagirBlock}, {"Block": Block}, {made.layers[1].name: DagirBlock}):
        agree(answers(tmp_path / "m.keras", custom_objects=given), np.asarray(made(FEED)))
    with pytest.raises(FileError, match=r"has no 'one', the weights of .*/one: it has .*first.*second"):
        dagir.from_keras(tmp_path / "m.keras", custom_objects={"Block": OtherNames})


def test_a_subclassed_model_alone(tmp_path):
    made = Net()
    made(FEED)
    randomized(made).save(tmp_path / "m.keras")
    agree(answers(tmp_path / "m.keras", custom_objects={"Net": Net, "squashed": squashed}), np.asarray(made(FEED)))
    made.save_weights(tmp_path / "m.weights.h5")
    other = Net()
    other(FEED)
    with pytest.raises(ArgumentError, match=r"matches weights itself(.|\n)*model.load_weights"):
        dagir.from_keras(tmp_path / "m.weights.h5", architecture=other)
    with pytest.raises(UnsupportedLayer, match=r"subclass of keras.Model(.|\n)*custom_objects=\{'Net'"):
        dagir.from_keras(tmp_path / "m.keras")


def test_a_function_under_the_name_of_a_stock_layer_is_not_taken_for_it(tmp_path):
    x = keras.Input((3,))
    made = keras.Model(x, L.Dense(2, name="encoder")(x))
    made.save(tmp_path / "m.keras")
    agree(answers(tmp_path / "m.keras", custom_objects={"encoder": lambda x: x}), np.asarray(made(FEED)))


def difference(a, b):
    return K.mean(a - b)


def test_what_only_training_needs_is_ignored(tmp_path):
    class Odd(keras.initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return K.ones(shape, dtype)

    class Rule(keras.constraints.Constraint):
        def __call__(self, w):
            return w

    class Cost(keras.regularizers.Regularizer):
        def __call__(self, w):
            return K.sum(w)

        def get_config(self):
            return {}

    x = keras.Input((3,))
    options = {"kernel_initializer": Odd(), "kernel_constraint": Rule(), "kernel_regularizer": Cost()}
    made = keras.Model(x, L.Dense(2, activity_regularizer=Cost(), **options)(x))
    made.compile("sgd", difference)
    for suffix in (".keras", ".h5"):
        made.save(tmp_path / f"m{suffix}")
        agree(answers(tmp_path / f"m{suffix}"), np.asarray(made(FEED)))


# ---- the tool

MODULE = """
import dagir
from dagir.layers import Dense


class Scale(dagir.Layer):
    def __init__(self, power=1, **kwargs):
        super().__init__(**kwargs)
        self.power = power

    def build(self, input_shape):
        self.w, self.v = (self.add_weight((input_shape[-1],), name=name) for name in "wv")

    def call(self, x):
        return (x * self.w + self.v) ** self.power


def doubled(x, by):
    return x * by


def leaky(x):
    return dagir.ops.minimum(dagir.ops.leaky_relu(x, 0.1), 2.0)
"""
OBJECTS = (
    '\ncustom_objects = {"Scale": Scale, "twice": doubled, "<lambda>": [leaky, lambda x: x - 1, dagir.ops.square]}\n'
)


def test_the_tool_takes_a_module(called, tmp_path):
    (tmp_path / "own.py").write_text(MODULE + OBJECTS)
    source = FILES / "tf215_custom.h5"
    code, out, err = called(source, tmp_path / "m.onnx", "--custom", tmp_path / "own.py", "--json")
    assert code == 0 and json.loads(out)["ok"] and "own.py, which is code" in err
    assert called("inspect", source, "--custom", tmp_path / "own.py")[0] == 0
    assert called("verify", source, tmp_path / "m.onnx", "--custom", tmp_path / "own.py")[0] == 0
    assert called(source, tmp_path / "m.dagir", "--custom", tmp_path / "own.py")[0] == 0
    other = FILES / "tf215_custom.keras"
    for pair in ((source, other), (tmp_path / "m.dagir", other), (other, tmp_path / "m.dagir")):
        assert called("verify", *pair, "--custom", tmp_path / "own.py")[0] == 0
    code, _, err = called("verify", tmp_path / "m.onnx", tmp_path / "m.onnx", "--custom", tmp_path / "own.py")
    assert code == 2 and "--custom is for .keras, .h5, .hdf5 and .dagir files" in err
    (tmp_path / "part.py").write_text(MODULE)
    code, _, err = called(source, tmp_path / "n.onnx", "--custom", tmp_path / "part.py")
    assert code == 5 and "<lambda>" in err and "pkg>Scale" not in err and not (tmp_path / "n.onnx").exists()
    for text, words in (("1/0", "own.py:1 failed"), ("x = 3", "defines no class")):
        (tmp_path / "own.py").write_text(text)
        code, _, err = called("inspect", source, "--custom", tmp_path / "own.py")
        assert code == 2 and words in err
    code, _, err = called("inspect", source, "--custom", tmp_path / "missing.py")
    assert code == 2 and "there is no file" in err and "running" not in err
    assert "which is run" in " ".join(called("convert", "--help")[1].split())
