"""Layers of public Keras examples with TensorFlow's functions: numbers at two batches and two sizes, or a refusal."""

from __future__ import annotations

import os
from collections import Counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest

import dagir
from convert.zoo import randomize
from dagir.errors import UnsupportedLayer
from keras_examples import EXAMPLES


def near(mine, theirs, said=""):
    assert mine.dtype == theirs.dtype
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max(initial=1), err_msg=said)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_model_of_an_example_gives_kerass_numbers(name):
    keras.utils.clear_session()
    example = EXAMPLES[name]
    made = example.build()
    randomize(made)
    if example.refused is not None:
        with pytest.raises(UnsupportedLayer, match=example.refused):
            dagir.from_keras(made)
        return
    read = dagir.from_keras(made)
    weights = Counter(weight.shape for weight in read.trainable_weights)  # variables of TensorFlow are not Keras's
    assert weights >= Counter(tuple(weight.shape) for weight in made.trainable_weights)
    for backend in ("numpy", "onnx", "keras"):
        executable = dagir.lower(read, backend)
        for run in range(2):
            fed = example.feeds(made, run)
            expected = keras.tree.flatten(made(fed if len(fed) > 1 else fed[0], training=False))
            found = keras.tree.flatten(executable(*fed))
            assert len(found) == len(expected)
            for mine, theirs in zip(found, map(np.asarray, expected), strict=True):
                near(mine, theirs, f"{backend} {run}")


@pytest.mark.parametrize("name", ["unet", "dilated_pyramid", "anchored_boxes"])
def test_layers_that_need_sizes_of_no_operand_are_in_keras_files(name, tmp_path):
    example = EXAMPLES[name]
    made = example.build()
    randomize(made)
    dagir.to_keras(dagir.from_keras(made)).save(tmp_path / "m.keras")
    loaded, again = keras.models.load_model(tmp_path / "m.keras"), dagir.from_keras(tmp_path / "m.keras")
    for run in range(2):
        (fed,) = example.feeds(made, run)
        expected = [np.asarray(each) for each in keras.tree.flatten(made(fed, training=False))]
        for found in (loaded(fed), dagir.lower(again)(fed)):
            for mine, theirs in zip(keras.tree.flatten(found), expected, strict=True):
                near(np.asarray(mine), theirs)
