"""Masks go through every layer as they go through Keras's: there or not, and the same."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import as_list, randomize

import dagir
from dagir import ops
from dagir.testing import assert_equivalent
from examples import EXAMPLES, LAYERS

CELLS = ("LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells")
STEPWISE = ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")  # take a mask of steps, not of pixels: see test_convlstm.py


def traced(home, name, example, masked):
    """The inputs, and the outputs of a layer called on values that carry masks where they can and should."""
    inputs = [home.Input(shape, dtype=example.dtype) for shape in example.shapes]
    values = [
        home.layers.Masking()(x) if wanted and len(x.shape) > 2 and example.dtype == "float32" else x
        for x, wanted in zip(inputs, masked, strict=True)
    ]
    layer = example.make(home, name)
    return layer, inputs, as_list(example.call(layer, values))


def masks_of(outputs):
    return [each._keras_mask if hasattr(each, "_keras_mask") else None for each in outputs]


@pytest.mark.filterwarnings("ignore:.*does not support masking:UserWarning")
@pytest.mark.parametrize("name", [name for name in LAYERS if name not in (*CELLS, *STEPWISE)])
def test_masks_are_keras_s(name):
    example = EXAMPLES[name]
    masked = st.lists(st.booleans(), min_size=len(example.shapes), max_size=len(example.shapes))

    @given(masked | st.just([True] * len(example.shapes)), st.sampled_from([1, 3]), st.integers(2, 7))
    def same(masked, batch, time):
        layer, inputs, outputs = traced(dagir, name, example, masked)
        judge, k_inputs, k_outputs = traced(keras, name, example, masked)
        mine, theirs = [each.mask for each in outputs], masks_of(k_outputs)
        assert [each is None for each in mine] == [each is None for each in theirs]
        given_masks = [each for each in mine if each is not None]
        if not given_masks:
            return
        rng = np.random.default_rng(time)
        feeds = []
        for x in inputs:
            shape = (batch, *(time if size is None else size for size in x.shape[1:]))
            feeds.append((rng.uniform(-2, 2, shape) * (rng.random((*shape[:-1], 1)) < 0.6)).astype("float32"))
            feeds[-1][0] = 0
        if layer.weights:
            randomize(layer)
            judge.set_weights(layer.get_weights())
        kept = [each for each in theirs if each is not None]
        read = {x for mask in given_masks for x in inputs if needs(mask, x)}
        model = dagir.Model([x for x in inputs if x in read], given_masks)
        chosen = [feed for x, feed in zip(inputs, feeds, strict=True) if x in read]
        want = keras.Model(k_inputs, kept)(feeds)
        for found, expected in zip(as_list(dagir.lower(model, "numpy")(chosen)), as_list(want), strict=True):
            assert np.array_equal(found, np.asarray(expected))
        assert_equivalent(model, chosen, ("onnx",))

    same()


def needs(value, x):
    """Whether a value is computed from an input."""
    pending, seen = [value], set()
    while pending:
        found = pending.pop()
        if found is x:
            return True
        if found not in seen and found.node is not None:
            seen.add(found)
            pending.extend(each for each in found.node.inputs if each is not None)
    return False


@pytest.mark.parametrize("mask_zero", [False, True])
def test_masks_of_embeddings_go_on(mask_zero):
    def network(home):
        ids = home.Input((None,), dtype="int32")
        x = home.layers.Embedding(7, 4, mask_zero=mask_zero, name="table")(ids)
        y = home.layers.Dropout(0.3)(home.layers.Dense(4, name="dense")(x))
        z = home.layers.Concatenate(axis=-1)([home.layers.LayerNormalization()(y), x])
        return ids, z

    ids, z = network(dagir)
    _, k_z = network(keras)
    assert (z.mask is None) == (getattr(k_z, "_keras_mask", None) is None) == (not mask_zero)
    model = dagir.Model(ids, ops.where(ops.expand_dims(z.mask, -1), z, 0.0) if mask_zero else z)
    for batch, time in ((1, 3), (3, 5), (2, 1)):
        array = np.random.default_rng(time).integers(0, 7, (batch, time)).astype("int32")
        assert_equivalent(model, [array])
