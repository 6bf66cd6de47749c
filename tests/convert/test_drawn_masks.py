"""Masks through layers in any order: Keras's own model, dagir's reading of it, what Keras gets back, and training."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers as kl

import dagir

LAYERS = {
    "masking": kl.Masking,
    "norm": lambda: kl.BatchNormalization(momentum=0.5),
    "each_step": lambda: kl.TimeDistributed(kl.Dense(4)),
    "each_step_norm": lambda: kl.TimeDistributed(kl.LayerNormalization()),
    "lstm": lambda: kl.LSTM(4, return_sequences=True),
    "both_ways": lambda: kl.Bidirectional(kl.GRU(2, return_sequences=True)),
    "dense": lambda: kl.Dense(4, activation="tanh"),
    "dropout": lambda: kl.Dropout(0.3),
    "layer_norm": kl.LayerNormalization,
    "activation": lambda: kl.Activation("tanh"),
    "conv": lambda: kl.Conv1D(4, 2, padding="same"),
}
MERGES = {"add": kl.Add, "multiply": kl.Multiply, "average": kl.Average, "maximum": kl.Maximum}
ENDS = {
    "steps": None,
    "last": lambda: kl.GRU(3),
    "mean": kl.GlobalAveragePooling1D,
}


def network(first, names, merges, end):
    """first: what makes the mask. merges: for each layer how its result joins what went in, or None."""
    if first == "embedding":
        x = keras.Input((None,), dtype="int32", name="x")
        y = kl.Embedding(5, 4, mask_zero=True)(x)
    else:
        x = keras.Input((None, 4), name="x")
        y = kl.Masking()(x) if first == "masking" else x
    for name, merge in zip(names, merges, strict=True):
        z = LAYERS[name]()(y)
        y = z if merge is None else MERGES[merge]()([y, z])
    return keras.Model(x, y if ENDS[end] is None else ENDS[end]()(y))


def fed(first, rng):
    if first == "embedding":
        return np.array([[1, 2, 0, 0, 0], [3, 4, 1, 2, 0], [1, 1, 1, 2, 4]], "int32")
    found = rng.normal(size=(3, 5, 4)).astype("float32")
    found[0, 2:] = found[1, 4:] = 0
    return found


def judge_of(first, names, merges, end, seed):
    keras.utils.set_random_seed(seed)
    judge, rng = network(first, names, merges, end), np.random.default_rng(seed)
    judge.set_weights([rng.uniform(0.2, 0.9, w.shape) for w in judge.weights])
    return judge, fed(first, rng)


def check(first, names, merges, end, seed=0, train=True):
    judge, array = judge_of(first, names, merges, end, seed)
    wanted = np.asarray(judge(array))
    model = dagir.from_keras(judge)
    np.testing.assert_allclose(dagir.lower(model, "onnx")(array), wanted, rtol=1e-4, atol=1e-5)
    again = dagir.to_keras(model)
    np.testing.assert_allclose(np.asarray(again(array)), wanted, rtol=1e-4, atol=1e-5)
    if not train:
        assert dagir.verify(model).ok
        return
    if "dropout" in names:  # what it draws is another's
        model.compile(optimizer="sgd", loss="mse")
        model.fit(array, wanted, verbose=0)
        return
    target = wanted + np.random.default_rng(1).normal(size=wanted.shape).astype("float32")
    for each in (model, judge):
        each.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
        each.fit(array, target, batch_size=3, verbose=0)
    np.testing.assert_allclose(dagir.lower(model)(array), np.asarray(judge(array)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("first", ["masking", "embedding"])
@pytest.mark.parametrize(
    "names", [["norm"], ["each_step"], ["norm", "lstm"], ["each_step", "norm"], ["norm", "each_step", "dropout"]]
)
def test_a_mask_that_only_training_reads(first, names):
    for train in (False, True):
        check(first, names, [None] * len(names), "steps", train=train)


@pytest.mark.filterwarnings("ignore:Layer .* does not support masking")  # Keras says so of a convolution
@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
@given(st.data())
def test_masks_through_layers_in_any_order(data):
    first = data.draw(st.sampled_from(["masking", "embedding", "none"]))
    names = data.draw(st.lists(st.sampled_from(sorted(LAYERS)), min_size=1, max_size=4))
    merges = [data.draw(st.one_of(st.none(), st.sampled_from(sorted(MERGES)))) for _ in names]
    check(
        first,
        names,
        merges,
        data.draw(st.sampled_from(sorted(ENDS))),
        data.draw(st.integers(0, 9)),
        data.draw(st.booleans()),
    )


def test_the_mask_of_a_batch_normalization_is_a_value_of_the_keras_model(tmp_path):
    judge, array = judge_of("masking", ["norm", "lstm"], [None, None], "steps", 0)
    again = dagir.to_keras(dagir.from_keras(judge))
    assert [type(layer).__name__ for layer in again.layers if "Traced" in type(layer).__name__] == []
    again.save(tmp_path / "again.keras")
    read = keras.models.load_model(tmp_path / "again.keras")
    for training in (False, True):
        np.testing.assert_allclose(
            np.asarray(read(array, training=training)), np.asarray(judge(array, training=training)), atol=1e-5
        )


def test_a_layer_of_ones_own_around_a_masked_normalization():
    class Block(dagir.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.norm = dagir.layers.BatchNormalization()

        def call(self, x):
            return self.norm(x, mask=dagir.ops.any(dagir.ops.not_equal(x, 0), axis=-1))

    x = dagir.Input((None, 4), name="x")
    model = dagir.Model(x, dagir.layers.Dense(2)(Block()(x)))
    array = fed("masking", np.random.default_rng(0))
    np.testing.assert_allclose(np.asarray(dagir.to_keras(model)(array)), dagir.lower(model)(array), atol=1e-6)
    assert dagir.verify(model).ok
