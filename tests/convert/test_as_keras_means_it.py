"""What Keras computes where a name says something else, or says it in another way: from files and from memory."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as L

import dagir
from convert.zoo import randomize
from dagir.errors import UnsupportedLayer
from dagir.testing import assert_equivalent

IDS = np.array([[1, 0, 5, 2, 9], [3, 3, 0, 0, 1]], "int32")
FLOATS = np.random.default_rng(0).normal(size=(16, 5)).astype("float32")


def agrees(made, x, path):
    made.save(path)
    want = np.asarray(made(x, training=False))
    for source in (made, path):
        read = dagir.from_keras(source)
        np.testing.assert_allclose(dagir.lower(read, "numpy")(x), want, atol=1e-5)
        assert_equivalent(read, [x])


@pytest.mark.parametrize("options", [{}, {"tie_weights": False}, {"logit_soft_cap": 3.0}, {"mask_zero": True}])
def test_an_embedding_goes_back(options, tmp_path):
    ids, table = keras.Input((5,), dtype="int32"), L.ReversibleEmbedding(10, 6, **options)
    made = keras.Model(ids, table(L.Dense(6)(table(ids)), reverse=True))
    randomize(made)
    agrees(made, IDS, tmp_path / "m.keras")


SPARSE = {
    "an argument": L.Dense(5, activation="sparsemax"),
    "a layer": L.Activation("sparsemax"),
    "an operation": keras.ops.sparsemax,
    "an axis": lambda x: keras.ops.sparsemax(L.RepeatVector(3)(x), axis=1),
}


@pytest.mark.parametrize("name", SPARSE)
def test_sparsemax_is_what_keras_computes(name, tmp_path):
    """Keras 3.15 sums cumulative sums, see tests/upstream: a model that was trained with that answers with that."""
    x = keras.Input((5,))
    made = keras.Model(x, SPARSE[name](x))
    randomize(made)
    agrees(made, FLOATS, tmp_path / "m.keras")
    if name == "an argument":
        read = dagir.from_keras(made)
        read.save(tmp_path / "m.dagir")
        again = dagir.lower(dagir.load(tmp_path / "m.dagir"), "numpy")(FLOATS)
        np.testing.assert_allclose(again, np.asarray(made(FLOATS)), atol=1e-5)


def test_adapters_are_merged(tmp_path):
    ids, table, head = keras.Input((5,), dtype="int32"), L.Embedding(10, 8), L.Dense(6)
    mixed = L.EinsumDense("abc,cd->abd", (None, 4), bias_axes="d")
    made = keras.Model(ids, mixed(head(table(ids))))
    for layer in (table, head, mixed):
        layer.enable_lora(2, lora_alpha=3)
    randomize(made)
    agrees(made, IDS, tmp_path / "m.keras")


class Dense(L.Layer):
    """A class of one's own that bears the name of a layer of Keras."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")
        self.bias = self.add_weight(shape=(self.units,), name="bias")

    def call(self, x):
        return -(x @ self.kernel + self.bias)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def test_a_class_of_ones_own_is_no_layer_of_keras(tmp_path):
    x = keras.Input((5,))
    made = keras.Model(x, Dense(4)(x))
    randomize(made)
    np.testing.assert_allclose(dagir.lower(dagir.from_keras(made))(FLOATS), np.asarray(made(FLOATS)), atol=1e-5)
    made.save(tmp_path / "m.keras")
    with pytest.raises(UnsupportedLayer, match=r"Dense is a class of its own(.|\n)*custom_objects") as caught:
        dagir.from_keras(tmp_path / "m.keras")
    assert "keras.models.load_model" in str(caught.value)
    rule = {"Dense": lambda config: dagir.layers.Dense(config["units"])}
    assert dagir.from_keras(tmp_path / "m.keras", custom_objects=rule).outputs[0].shape == (None, 4)


class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = L.Dense(2)

    def call(self, x):
        return self.dense(x)


@keras.saving.register_keras_serializable("tests")
def squashed(x):
    return x * keras.ops.sigmoid(1.7 * x)


def called(model):
    model(FLOATS)
    return model


def on_floats(make):
    x = keras.Input((5,))
    return keras.Model(x, make(x))


def with_text():
    text, split = keras.Input((), dtype="string"), L.TextVectorization(10, output_sequence_length=5)
    split.set_vocabulary(["a"])
    return keras.Model(text, L.Embedding(10, 4)(split(text)))


def on_images(make):
    x = keras.Input((8, 8, 3))
    return keras.Model(x, make(x))


REFUSED = {
    "subclassed": (lambda: called(Subclassed()), "file", r"subclass of keras.Model(.|\n)*load_model"),
    "activation": (lambda: on_floats(L.Dense(3, activation=squashed)), "file", r"tests>squashed(.|\n)*load_model"),
    "text in a file": (with_text, "file", r"regular expressions(.|\n)*begin the model behind it"),
    "text": (with_text, "memory", r"regular expressions(.|\n)*begin the model behind it"),
    "statistics": (
        lambda: on_floats(lambda x: L.BatchNormalization()(x, training=True)),
        "memory",
        "training=True: it would normalize by the statistics of each batch",
    ),
    "area": (lambda: on_images(L.Resizing(4, 4, interpolation="area")), "memory", "for interpolation, got 'area'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_says_what_helps(name, tmp_path):
    make, place, message = REFUSED[name]
    made = make()
    if place == "file":
        made.save(tmp_path / "m.keras")
    with pytest.raises(UnsupportedLayer, match=message) as caught:
        dagir.from_keras(tmp_path / "m.keras" if place == "file" else made)
    assert "did you mean" not in str(caught.value)
    assert ("load_model" in str(caught.value)) == (name in ("subclassed", "activation"))


def test_text_is_put_together_and_meets_no_number():
    text, numbers = keras.Input((1,), dtype="string"), keras.Input((1,))
    given = np.array([["a"], ["b"]], object)
    read = dagir.from_keras(keras.Model(text, keras.ops.concatenate([text, text], -1)))
    for backend in ("numpy", "onnx"):
        np.testing.assert_array_equal(dagir.lower(read, backend)(given), [["a", "a"], ["b", "b"]])
    made = keras.Model([text, numbers], L.Concatenate()([text, numbers]))
    with pytest.raises(UnsupportedLayer, match="string"):
        dagir.from_keras(made)
