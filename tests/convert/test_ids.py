"""Layers that take ids: any numbers are ids for Keras, without their fractions, and lookups yield int64."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as L

from convert.agreement import agrees

FLOATS = np.array([[1.7, 0.3, 2.0, -0.5], [0.0, 2.9, 1.0, 0.9]], "float32")


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count"])
@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_lookups(mode, dtype):
    x = keras.Input((1 if mode == "one_hot" else 4,), dtype=dtype)
    fed = FLOATS[:, : x.shape[1]].astype(dtype)
    agrees(keras.Model(x, L.IntegerLookup(vocabulary=[1, 2], output_mode=mode)(x)), fed)


@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
def test_categories(mode):
    x = keras.Input((1 if mode == "one_hot" else 4,))
    agrees(keras.Model(x, L.CategoryEncoding(5, mode)(x)), np.abs(FLOATS[:, : x.shape[1]]))


@pytest.mark.parametrize("merge", [L.Multiply, L.Add, L.Maximum])
def test_a_fraction_is_row_0_and_no_padding(merge):
    ids, other = keras.Input((4,)), keras.Input((4, 3))
    embedded = L.Embedding(7, 3, mask_zero=True)(ids)
    inner = keras.Model([ids, other], merge()([embedded, other]))
    agrees(
        keras.Model([ids, other], [inner([ids, other]), L.LSTM(3)(embedded)]),
        [np.abs(FLOATS), np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")],
    )
