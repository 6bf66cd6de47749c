"""Quantized ONNX models as models of Keras: weights that were codes are trained as numbers."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest

import dagir
from deploy.test_quantized_files import quantized_convolution


@pytest.mark.parametrize("per_channel", [False, True])
def test_codes_of_weights_become_a_trainable_layer(per_channel, tmp_path):
    rng = np.random.default_rng(0)
    model = dagir.from_onnx(quantized_convolution(per_channel, rng))
    found = dagir.to_keras(model)
    kernel = next(weight for weight in found.trainable_weights if weight.shape == (3, 3, 3, 4))
    assert any(isinstance(layer, keras.layers.Conv2D) for layer in found.layers)
    x = (rng.integers(-40, 40, (2, 3, 8, 8)) / 4).astype("float32")
    wanted = dagir.lower(model)(x)["y"]
    assert np.array_equal(np.asarray(found(x)["y"]), wanted)
    found.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert np.array_equal(np.asarray(again(x)["y"]), wanted)
    assert kernel.dtype == "float32"
    report = dagir.verify(model, ("numpy", "onnx", "keras"))
    assert report.ok, report
