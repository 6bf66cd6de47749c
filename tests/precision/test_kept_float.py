"""What stays in float without being asked for, and why."""

from __future__ import annotations

import numpy as np

import dagir
from dagir import layers, ops
from dagir.precision.options import LowPrecision


def spectrogram(final_log=False):
    """Filters of sound, their energies and a logarithm; then a network."""
    sound = layers.Input((256, 1), name="sound")
    low = layers.Conv1D(8, 40, padding="same", use_bias=False, name="low")(sound)
    x = layers.Conv1D(24, 32, strides=4, use_bias=False, name="filters")(low)
    x = ops.log(ops.square(x) + 1e-6)
    x = layers.Conv1D(16, 5, activation="relu", name="first")(x)
    x = layers.Dense(10, activation="softmax", name="classes")(layers.Flatten()(x))
    model = dagir.Model(sound, ops.log(x + 1e-6) if final_log else x, name="net")
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign((rng.normal(size=weight.shape) / np.sqrt(np.prod(weight.shape[:-1]))).astype("float32"))
    loud = np.geomspace(1e-3, 1, 16)[:, None, None] * rng.normal(size=(16, 256, 1))
    return model, loud.astype("float32")


def names_of(kept):
    return {name.split("/")[0]: reason for name, reason in kept.items()}


def test_the_filters_of_a_spectrum_stay_float():
    model, samples = spectrogram()
    found = LowPrecision(quantize="int8", calibrate=samples).applied(model)
    assert names_of(found.kept) == dict.fromkeys(["low", "filters"], "is read by a logarithm")
    assert found.closeness[0].relative < 0.1


def test_a_logarithm_at_the_end_keeps_no_more_than_the_last_layer():
    model, samples = spectrogram(final_log=True)
    found = LowPrecision(quantize="int8", calibrate=samples).applied(model)
    assert set(names_of(found.kept)) == {"low", "filters", "classes"}
