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
from dagir.testing import assert_close, assert_equivalent
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


STATEFUL = {
    "LSTM": (2, lambda home: home.layers.LSTM(3, return_sequences=True)),
    "GRU": (1, lambda home: home.layers.GRU(3, return_sequences=True)),
    "SimpleRNN": (1, lambda home: home.layers.SimpleRNN(3)),
    "Bidirectional": (4, lambda home: home.layers.Bidirectional(home.layers.LSTM(3, return_sequences=True))),
}


def agrees_with_keras(network, feeds, file=None):
    """A network that dagir builds as Keras does, on all backends, and what dagir reads, with Keras's own model."""
    mine, judge = dagir.Model(*network(dagir)), keras.Model(*network(keras))
    for place, weight in enumerate(mine.weights):
        weight.assign(np.random.default_rng(place).uniform(-1, 1, weight.shape))
    judge.set_weights(mine.get_weights())
    want = np.asarray(judge(feeds))
    assert_close(want, dagir.lower(mine, "numpy", precision="float64")(feeds), "Keras's own layers")
    for source in (judge, file):
        if source is file is not None:
            judge.save(file)
        if source is not None:
            read = dagir.lower(dagir.from_keras(source), "numpy", precision="float64")
            assert_close(want, read(feeds), "as it was read")
    assert_equivalent(mine, feeds)


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("name", STATEFUL)
def test_a_layer_with_an_initial_state_gets_no_mask(name, later, tmp_path):
    """Keras fills `mask` where one argument alone is a tensor; the output has the mask of the first all the same."""
    count, make = STATEFUL[name]

    def network(home):
        ids, states = home.Input((4,), dtype="int32"), [home.Input((3,)) for _ in range(count)]
        x = home.layers.Embedding(9, 5, mask_zero=True)(ids)
        y = make(home)(x, initial_state=states)
        return [ids, *states], home.layers.LSTM(2)(y) if later and len(y.shape) == 3 else y

    ids = np.array([[0, 0, 3, 0], [1, 2, 3, 0], [0, 0, 0, 0]], "int32")
    states = [np.full((3, 3), 0.2 * (place + 1), "float32") for place in range(count)]
    agrees_with_keras(network, [ids, *states], tmp_path / "m.keras")


def shown(home, y, mask):
    return y if mask is None else y * home.ops.cast(home.ops.expand_dims(mask, -1), "float32")


def layers_of_two(home):
    class Decoder(home.layers.Layer):
        def call(self, x, encoded, mask=None):
            return shown(home, x + encoded, mask)

    class Pair(home.layers.Layer):
        def call(self, x, encoded=None, x_mask=None, encoded_mask=None):
            return shown(home, x, x_mask) + (0.0 if encoded is None else shown(home, encoded, encoded_mask))

    class Listed(home.layers.Layer):
        def call(self, pair, mask=None):
            return shown(home, pair[0], mask[1]) + shown(home, pair[1], mask[0])

    class Named(home.layers.Layer):
        def call(self, scale=None, x=None, mask=None):
            return shown(home, x, mask)

    return {
        "two tensors": Decoder(),
        "one by name": lambda x, y: Decoder()(x, encoded=y),
        "masks by name": Pair(),
        "a mask by name of one alone": lambda x, y: Pair()(x) + y,
        "given": lambda x, y: Decoder()(x, y, mask=home.ops.equal(home.ops.sum(x, axis=-1), 0.0)),
        "a list": lambda x, y: Listed()([x, y]),
        "not the first": lambda x, y: Named()(x=x) + y,
    }


@pytest.mark.filterwarnings("ignore:.*does not support masking:UserWarning")
@pytest.mark.parametrize("name", layers_of_two(dagir))
def test_masks_of_a_call_of_several_tensors(name):
    def network(home):
        ids = [home.Input((4,), dtype="int32") for _ in range(2)]
        table = home.layers.Embedding(9, 5, mask_zero=True)
        return ids, layers_of_two(home)[name](*map(table, ids))

    agrees_with_keras(network, [np.array([[3, 2, 0, 0]], "int32"), np.array([[1, 0, 2, 0]], "int32")])
