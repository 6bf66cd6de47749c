"""A mask that is made within a model reaches the layers there wherever the model is called, as in Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import dagir
from dagir import layers, ops
from dagir.testing import assert_equivalent

LAST = {
    "SimpleRNN": lambda home: home.layers.SimpleRNN(3, return_sequences=True),
    "LSTM": lambda home: home.layers.LSTM(3),
    "GlobalAveragePooling1D": lambda home: home.layers.GlobalAveragePooling1D(),
}


def steps(home, last):
    x = home.Input((None, 5), name="x")
    return home.Model(x, last(home.layers.Masking()(x)), name="inner"), x


def tokens(home, last):
    x = home.Input((None,), dtype="int32", name="x")
    return home.Model(x, last(home.layers.Embedding(7, 5, mask_zero=True)(x)), name="inner"), x


@pytest.mark.parametrize("name", LAST)
@pytest.mark.parametrize("first", [steps, tokens])
@pytest.mark.parametrize("times", [1, 2])
def test_a_model_that_makes_a_mask_is_called_in_another(first, name, times):
    def network(home):
        inner, _ = first(home, LAST[name](home))
        for _ in range(times):
            x = home.Input(inner.inputs[0].shape[1:], dtype=str(inner.inputs[0].dtype).rpartition(".")[2], name="x")
            inner = home.Model(x, inner(x), name="outer")
        return inner

    mine, judge = network(dagir), network(keras)
    rng = np.random.default_rng(3)
    judge.set_weights([rng.normal(size=w.shape) for w in judge.weights])
    mine.set_weights(judge.get_weights())
    for batch, time in ((1, 3), (3, 6)):
        if first is steps:
            array = rng.normal(size=(batch, time, 5)).astype("float32")
            array[:, time // 2 :] = 0
        else:
            array = rng.integers(0, 3, (batch, time)).astype("int32")
        np.testing.assert_allclose(dagir.lower(mine)(array), np.asarray(judge(array)), atol=1e-6)
        assert_equivalent(mine, [array])
    np.testing.assert_allclose(dagir.lower(dagir.from_keras(judge))(array), np.asarray(judge(array)), atol=1e-6)


def test_sizes_that_a_model_names_are_those_of_its_masked_input():
    """Its layers are called again for the mask; its ops that name a size get the size of the input."""
    steps = dagir.Input(batch_shape=("rows", "steps", 3))
    weights = ops.ones((1, steps.type.shape[1], 1))
    inner = dagir.Model(steps, layers.GRU(2, return_sequences=True)(steps) * ops.cumsum(weights, 1))
    ids = dagir.Input((None,), dtype="int32")
    embedding = layers.Embedding(5, 3, mask_zero=True)
    model = dagir.Model(ids, inner(embedding(ids)))
    given = np.asarray([[1, 2, 0, 0], [3, 0, 0, 0]], np.int32)
    alone = inner.layers[-1]
    plain = dagir.Model(ids, alone(embedding(ids)))
    wanted = dagir.lower(plain, "numpy")(given) * np.arange(1, 5).reshape(1, 4, 1)
    for backend in ("numpy", "onnx"):
        np.testing.assert_allclose(dagir.lower(model, backend)(given), wanted, 1e-5, 1e-6)
