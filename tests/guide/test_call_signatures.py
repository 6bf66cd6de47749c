"""Scenario 17: nested structures, training, mask, and both, in Keras and in dagir, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from dagir import layers
from dagir.ir.nest import flatten
from dagir.testing import assert_close
from guide import call_signatures as guide
from guide.test_custom_layers import check_everywhere
from guide.test_networks import feeds, randomize

NETWORKS = [guide.nested_structure, guide.training, guide.mask, guide.training_and_mask]


def arrays_for(model):
    """Sequences with padding where the inputs are ids."""
    arrays = feeds(model, {"batch": 3, "time": 6})
    for array in arrays:
        if array.dtype.kind == "i":
            array[0, 2:], array[1, 5:] = 0, 0
    return arrays


@pytest.mark.parametrize("build", NETWORKS, ids=lambda build: build.__name__)
def test_the_same_class_in_keras_and_in_dagir(build, tmp_path):
    import keras

    keras.utils.clear_session()
    theirs = build(keras, keras.layers)
    dagir.clear_session()
    ours = build(dagir, layers)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert [weight.shape for weight in ours.weights] == [tuple(weight.shape) for weight in theirs.weights]
    assert [weight.name for weight in ours.weights] == [weight.path for weight in theirs.weights]
    assert ours.count_params() == theirs.count_params()
    assert [value.shape for value in ours.outputs] == [tuple(value.shape) for value in theirs.outputs]
    randomize(ours)
    arrays = arrays_for(ours)
    check_everywhere(ours, arrays, tmp_path / "m.keras")
    theirs.set_weights(ours.get_weights())
    expected = flatten(theirs(arrays if len(arrays) > 1 else arrays[0]))
    for got, want in zip(flatten(dagir.lower(ours, "numpy")(arrays)), expected, strict=True):
        assert_close(got, np.asarray(want).astype("float64"), "Keras")


@pytest.mark.parametrize("build", NETWORKS, ids=lambda build: build.__name__)
def test_a_file_and_a_clone_keep_how_it_was_called(build, tmp_path):
    model = build(dagir, layers)
    randomize(model)
    arrays = arrays_for(model)
    expected = flatten(dagir.lower(model, "numpy")(arrays))
    model.save(tmp_path / "m.dagir")
    again = dagir.clone(model)
    again.set_weights(model.get_weights())
    for other in (dagir.load(tmp_path / "m.dagir"), again):
        for got, want in zip(flatten(dagir.lower(other, "numpy")(arrays)), expected, strict=True):
            np.testing.assert_array_equal(got, want)


def test_training_reaches_the_layers_inside():
    model = guide.training(dagir, layers)
    artifact = dagir.lower(model, "keras").artifact
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    assert not np.allclose(artifact(x, training=True), artifact(x, training=True))
    np.testing.assert_array_equal(artifact(x, training=False), artifact(x, training=False))
