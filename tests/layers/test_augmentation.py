"""Random augmentation: the identity at inference, and Keras's own layer in training."""

from __future__ import annotations

import inspect
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import pytest

import dagir
from dagir import layers
from dagir.layers.augmentation import FloatAugmentation
from dagir.testing import assert_close, assert_equivalent

ARGUMENTS = {
    "RandomZoom": {"height_factor": 0.2},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.3, "data_format": "channels_last"},
    "RandomCrop": {"height": 6, "width": 5},
    "RandomPosterization": {"factor": 4},
    **{f"Random{kind}": {"factor": 0.2, "seed": 3} for kind in ("Rotation", "Contrast", "Brightness", "Hue")},
    **{f"Random{kind}": {"factor": 0.2} for kind in ("ColorDegeneration", "Saturation", "Sharpness")},
}
RANDOM = sorted(name for name in layers.__all__ if getattr(layers, name).__module__.endswith("augmentation"))
CASTS = [name for name in RANDOM if not issubclass(getattr(layers, name), FloatAugmentation)]


def images(dtype="float32"):
    return np.random.default_rng(0).uniform(0, 255, (3, 6, 5, 3)).astype(dtype)


def model_of(name, kwargs, dtype="float32"):
    x = dagir.Input((6, 5, 3), dtype=dtype)
    return dagir.Model(x, getattr(layers, name)(**kwargs)(x))


@pytest.mark.parametrize("name", RANDOM)
def test_is_the_identity_at_inference_and_keras_s_layer_in_training(name):
    kwargs = ARGUMENTS.get(name, {})
    x, model = images(), model_of(name, kwargs)
    judge = getattr(keras.layers, name)(**kwargs)
    assert np.array_equal(np.asarray(judge(x, training=False)), x)
    assert np.array_equal(dagir.lower(model, "numpy")(x), x)
    assert_equivalent(model, [x])
    made = dagir.to_keras(model)
    assert type(made.layers[-1]) is type(judge)
    config = {key: value for key, value in judge.get_config().items() if key not in ("name", "dtype", "seed")}
    assert {key: made.layers[-1].get_config()[key] for key in config} == config


@pytest.mark.parametrize("name", CASTS)
def test_whole_numbers(name):
    x, model = images("uint8"), model_of(name, ARGUMENTS.get(name, {}), "uint8")
    want = np.asarray(getattr(keras.layers, name)(**ARGUMENTS.get(name, {}))(x, training=False))
    assert dagir.lower(model, "numpy")(x).dtype == want.dtype
    assert_equivalent(model, [x])


@pytest.mark.parametrize("name", ["RandomBrightness", "MixUp"])
def test_whole_numbers_that_keras_declares_otherwise(name):
    judge = getattr(keras.layers, name)(**ARGUMENTS.get(name, {}))
    assert judge(keras.Input((6, 5, 3), dtype="uint8")).dtype == "float32"
    assert np.asarray(judge(images("uint8"), training=False)).dtype == "uint8"
    with pytest.raises(dagir.DagirError, match="takes floats, got uint8"):
        model_of(name, ARGUMENTS.get(name, {}), "uint8")


def test_training_augments():
    x = dagir.Input((6, 5, 3))
    y = layers.RandomFlip("horizontal", seed=1)(x)
    model = dagir.Model(x, layers.Dense(1)(layers.Flatten()(y)))
    made = dagir.to_keras(model)
    flip, array = made.layers[1], images()
    found = np.asarray(flip(array, training=True))
    assert not np.array_equal(found, array)
    assert all(np.array_equal(a, b) or np.array_equal(a, b[:, ::-1]) for a, b in zip(found, array, strict=True))
    model.compile(optimizer="sgd", loss="mse")
    model.fit(array, np.zeros((3, 1), "float32"), verbose=0)


def test_random_crop_leaves_images_at_inference_as_keras_does():
    x = images()
    assert np.asarray(keras.layers.RandomCrop(4, 3)(x, training=False)).shape == x.shape
    with pytest.raises(dagir.DagirError, match="RandomCrop yields 4x3 in training"):
        model_of("RandomCrop", {"height": 4, "width": 3})


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("value_range", [(0, 255), (0, 1), (-1, 300)])
def test_auto_contrast(value_range, dtype):
    x = images(dtype)
    x[1, :, :, 2] = 7  # one value: nothing to stretch
    model = model_of("AutoContrast", {"value_range": value_range}, dtype)
    want = np.asarray(keras.layers.AutoContrast(value_range)(x))
    assert_close(want, dagir.lower(model, "numpy", precision="float64")([x]), "Keras's own layer")
    assert_equivalent(model, [x])


@pytest.mark.parametrize("name", [*RANDOM, "AutoContrast"])
def test_signature_is_keras_s(name):
    mine, theirs = (inspect.signature(getattr(home, name)) for home in (layers, keras.layers))
    assert [(p.name, p.default) for p in mine.parameters.values()] == [
        (p.name, p.default) for p in theirs.parameters.values()
    ]


@pytest.mark.parametrize("name", RANDOM)
def test_in_a_file(name, tmp_path):
    model = model_of(name, ARGUMENTS.get(name, {}))
    model.save(tmp_path / "m.dagir")
    again = dagir.load(tmp_path / "m.dagir")
    assert again.layers[-1].get_config() == model.layers[-1].get_config()
