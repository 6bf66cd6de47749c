"""A model of Keras, converted, compared, trained, saved and converted again where TensorFlow cannot be imported.

Run with KERAS_BACKEND and a folder as the argument; test_without_tensorflow.py does.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from pathlib import Path

import numpy as np


class NoTensorFlow(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Fails for whoever imports TensorFlow, installed or not. Asking whether it is there, as PyTorch does, is fine."""

    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name.partition(".")[0] == "tensorflow" else None

    def create_module(self, spec):
        raise ModuleNotFoundError(f"No module named {spec.name!r}", name=spec.name)


sys.meta_path.insert(0, NoTensorFlow())

import keras  # noqa: E402
from keras import layers as L  # noqa: E402
from keras import ops as K  # noqa: E402

import dagir  # noqa: E402
from dagir_convert.entry import main  # noqa: E402

ENGINE = keras.backend.backend()


@keras.saving.register_keras_serializable("without_tensorflow")
class Gate(L.Layer):
    """A layer of one's own: weights, operators on both sides, a size of the run, a branch, a choice by Python."""

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], shape[-1]), name="w")
        self.b = self.add_weight(shape=(shape[-1],), initializer="ones", name="b")

    def call(self, x, training=False):
        y = K.matmul(x, self.w) + self.b
        y = K.cond(K.mean(y) > 0, lambda: y, lambda: y * 2)
        y = K.cond(True, lambda: 1 - y, lambda: y)
        flat = K.reshape(y, (K.shape(y)[0], -1))
        return 2.0 / (1 + K.exp(-flat)) * x + self.b


def classifier():
    """Images and ids to three classes."""
    image, ids = keras.Input((8, 8, 3), name="image"), keras.Input((4,), dtype="int64", name="ids")
    y = L.Conv2D(6, 3, strides=2, padding="same", activation="relu")(image)
    y = L.BatchNormalization()(y)
    y = L.GlobalAveragePooling2D()(L.Dropout(0.2)(y))
    z = L.GRU(6)(L.Embedding(10, 5, mask_zero=True)(ids))
    return keras.Model([image, ids], L.Dense(3, activation="softmax")(Gate(name="gate")(y + z)))


def batch():
    """Inputs and labels."""
    draw = np.random.default_rng(0)
    image = draw.normal(size=(16, 8, 8, 3)).astype("float32")
    ids = draw.integers(0, 10, size=(16, 4))
    ids[:, 0] = 1
    return {"image": image, "ids": ids}, np.arange(16) % 3


def tool(*arguments):
    """Run dagir-convert; its exit code."""
    sys.argv = ["dagir-convert", *map(str, arguments)]
    try:
        main()
    except SystemExit as end:
        return end.code or 0
    return 0


def trained(model, inputs, labels):
    """Train two epochs; where Keras computes with NumPy, which cannot, the one error that says so."""
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    before = [weight.array.copy() for weight in model.weights]
    try:
        history = model.fit(inputs, labels, epochs=2, verbose=0)
    except dagir.BackendError as error:
        assert ENGINE == "numpy", str(error)
        assert "no gradients" in str(error), str(error)
        assert "KERAS_BACKEND" in error.remedy, error.remedy
        return
    assert len(history.history["loss"]) == 2
    assert any(not np.array_equal(old, weight.array) for old, weight in zip(before, model.weights, strict=True))


def run(folder: Path):
    """All of it, into a folder."""
    keras.utils.set_random_seed(0)
    source = classifier()
    inputs, labels = batch()
    given = [inputs["image"], inputs["ids"]]
    model = dagir.from_keras(source)
    report = dagir.verify(model, ["numpy", "onnx", "keras", source], inputs=given)
    assert report.ok, str(report)
    before = [K.convert_to_numpy(variable).copy() for variable in source.variables]

    trained(model, inputs, labels)
    assert np.isfinite(model.evaluate(inputs, labels, verbose=0)).all()
    for old, variable in zip(before, source.variables, strict=True):
        np.testing.assert_array_equal(K.convert_to_numpy(variable), old)  # the model that was read is not trained
    answer = model.predict(inputs, backend="numpy")
    for backend in ("keras", "onnx"):
        np.testing.assert_allclose(model.predict(inputs, backend=backend), answer, atol=1e-5)

    model.save(folder / "model.dagir")
    resumed = dagir.load(folder / "model.dagir")
    trained(resumed, inputs, labels)
    dagir.lower(model, "keras").save(folder / "model.keras")
    again = dagir.from_keras(keras.saving.load_model(folder / "model.keras"))
    np.testing.assert_allclose(again.predict(inputs), answer, atol=1e-5)
    assert isinstance(dagir.to_keras(model), keras.Model)

    source.save(folder / "source.keras")
    assert tool(f"{__file__}:classifier", folder / "classifier.onnx") == 0
    assert dagir.verified(folder / "classifier.onnx").ok
    plain = keras.Sequential([keras.Input((5,)), L.Dense(3, activation="gelu"), L.LayerNormalization()])
    plain.save(folder / "plain.keras")
    assert tool(folder / "plain.keras", folder / "plain.onnx", "--with-keras") == 0


if __name__ == "__main__":
    run(Path(sys.argv[1]))
    assert not [name for name in sys.modules if name.partition(".")[0] == "tensorflow"]
    print("done")
