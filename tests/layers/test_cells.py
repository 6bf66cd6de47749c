"""Cells, RNN over them, and stacks, against Keras's own, on every backend."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import layers, ops
from dagir.errors import ArgumentError, ShapeError
from dagir.ir.nest import flatten
from dagir.testing import assert_close, assert_equivalent
from dagir.testing.rnn import masks
from recurrent_judge import compare, model_over, op_types, randomize, same_paths, survives

CELLS = ["LSTMCell", "GRUCell", "SimpleRNNCell"]
OPS = {"LSTMCell": "LSTM", "GRUCell": "GRU", "SimpleRNNCell": "RNN"}


class Leaky(dagir.Layer):
    """A cell of the user's own, whose output is no state of it."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units
        self.output_size = units + 1

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), name="kernel")
        self.recurrent = self.add_weight((self.units, self.units), name="recurrent")
        self.out = self.add_weight((self.units, self.units + 1), name="out")

    def call(self, inputs, states):
        h = 0.5 * states[0] + ops.tanh(ops.matmul(inputs, self.kernel) + ops.matmul(states[0], self.recurrent))
        return ops.matmul(h, self.out), [h]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class KerasLeaky(keras.layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units
        self.output_size = units + 1

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.recurrent = self.add_weight(shape=(self.units, self.units), name="recurrent")
        self.out = self.add_weight(shape=(self.units, self.units + 1), name="out")

    def call(self, inputs, states):
        K = keras.ops
        h = 0.5 * states[0] + K.tanh(K.matmul(inputs, self.kernel) + K.matmul(states[0], self.recurrent))
        return K.matmul(h, self.out), [h]


class Counting(dagir.Layer):
    """Two states, the first steps of its own making, a layer inside, and a weight that is prepared outside the loop."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.state_size = [3, 1]
        self.dense = layers.Dense(3, activation="tanh")

    def get_initial_state(self, batch_size=None):
        return [ops.ones((batch_size, 3)), ops.full((batch_size, 1), 2.0)]

    def call(self, inputs, states):
        h, count = states
        scale = ops.exp(self.add_once())
        h = self.dense(ops.concatenate([inputs, h], axis=-1)) * scale
        return ops.concatenate([h, count], axis=-1), [h, count + 1.0]

    def add_once(self):
        if not hasattr(self, "scale"):
            self.scale = self.add_weight((3,), name="scale")
        return self.scale


def draw_cell(data):
    name, units = data.draw(st.sampled_from(CELLS)), data.draw(st.integers(1, 4))
    kwargs = {"use_bias": data.draw(st.booleans()), "activation": data.draw(st.sampled_from(["tanh", "relu", None]))}
    if name == "GRUCell":
        kwargs["reset_after"] = data.draw(st.booleans())
    return lambda lib: getattr(lib, name)(units, dropout=0.2, recurrent_dropout=0.1, **kwargs)


@given(st.data())
def test_a_single_step_is_that_of_keras(data):
    make = draw_cell(data)
    ours, theirs = make(layers), make(keras.layers)
    batch = data.draw(st.sampled_from([1, 3]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = dagir.Input((3,))
    states = [dagir.Input((size,)) for size in flatten(ours.state_size)]
    model = dagir.Model([x, *states], ours(x, states))
    randomize(ours)
    feeds = [rng.uniform(-2, 2, (batch, size)).astype("float32") for size in (3, *flatten(ours.state_size))]
    theirs.build((batch, 3))
    theirs.set_weights(ours.get_weights())
    want = keras.tree.flatten(theirs(feeds[0], [keras.ops.convert_to_tensor(state) for state in feeds[1:]]))
    oracle = flatten(dagir.lower(model, "numpy", precision="float64")(feeds))
    for expected, found in zip(want, oracle, strict=True):
        assert_close(np.asarray(expected), found, "Keras's own cell")
    assert_equivalent(model, feeds)
    assert [type(layer) for layer in dagir.lower(model, "keras").artifact.layers][-1] is type(theirs)


@given(st.data())
def test_rnn_over_cells_and_stacks_is_that_of_keras(data):
    makers = [draw_cell(data) for _ in range(data.draw(st.sampled_from([1, 1, 2, 3])))]
    flags = ["return_sequences", "return_state", "go_backwards", "zero_output_for_mask"]
    kwargs = {flag: data.draw(st.booleans()) for flag in flags}
    batch, steps = data.draw(st.sampled_from([(1, 1), (3, 5), (2, 7)]))
    x = np.random.default_rng(data.draw(st.integers(0, 99))).uniform(-2, 2, (batch, steps, 3)).astype("float32")
    mask = data.draw(st.none() | masks(batch, steps))

    def make(lib):
        cells = [maker(lib) for maker in makers]
        return lib.RNN(cells if len(cells) > 1 else cells[0], **kwargs)

    model = compare(make, ("time", 3), x, mask)
    assert not {"Scan", "Loop"} & set(op_types(model))
    assert sum(kind in OPS.values() for kind in op_types(model)) == len(makers)
    assert type(dagir.lower(model, "keras").artifact.layers[-1]) is keras.layers.RNN


@given(st.data())
def test_rnn_over_a_cell_of_the_users_own_is_one_scan(data):
    flags = ["return_sequences", "return_state", "go_backwards", "zero_output_for_mask"]
    kwargs = {flag: data.draw(st.booleans()) for flag in flags}
    batch, steps = data.draw(st.sampled_from([(1, 1), (3, 5), (2, 7)]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = rng.uniform(-2, 2, (batch, steps, 3)).astype("float32")
    mask = data.draw(st.none() | masks(batch, steps))
    stacked, stated = data.draw(st.booleans()), data.draw(st.booleans())
    states = [rng.uniform(-1, 1, (batch, 2)).astype("float32")] if stated and not stacked else []

    def make(lib):
        own = (KerasLeaky if lib is keras.layers else Leaky)(2)
        return lib.RNN([lib.GRUCell(4), own] if stacked else own, **kwargs)

    model = compare(make, ("time", 3), x, mask, states)
    assert op_types(model).count("Scan") == 1


def test_one_scan_serves_every_size_at_every_opset():
    model = model_over(layers.RNN(Counting(), return_sequences=True, return_state=True), ("time", 2), mask=True)
    rng = np.random.default_rng(0)
    executables = [dagir.lower(model, "onnx", opset=opset) for opset in (18, 21, 24)] + [dagir.lower(model, "keras")]
    for batch, steps in ((1, 1), (3, 5), (2, 11)):
        feeds = [rng.normal(size=(batch, steps, 2)).astype("float32"), rng.random((batch, steps)) < 0.6]
        oracle = flatten(dagir.lower(model, "numpy", precision="float64")(feeds))
        for executable in executables:
            for found, want in zip(flatten(executable(feeds)), oracle, strict=True):
                assert_close(found, want, f"{executable} at {batch}, {steps}")
    (node,) = [n for n in executables[0].artifact.graph.node if n.op_type == "Scan"]
    body = next(attribute.g for attribute in node.attribute if attribute.name == "body")
    inside = [inner.op_type for inner in body.node]
    assert "Exp" not in inside  # what reads weights alone is computed once
    assert {prop.value for inner in body.node for prop in inner.metadata_props if prop.key == "dagir.layer"} >= {
        "rnn/counting/dense"
    }


def test_a_cell_may_read_what_is_outside():
    class Reading(Leaky):
        def call(self, inputs, states):
            output, new = super().call(inputs, states)
            return output + self.context, new

    x, context = dagir.Input(("time", 3), name="x"), dagir.Input((3,), name="context")
    cell = Reading(2)
    cell.context = ops.tanh(context)
    model = dagir.Model([x, context], layers.RNN(cell, return_sequences=True)(x))
    randomize(model)
    rng = np.random.default_rng(0)
    assert_equivalent(model, [rng.normal(size=(3, 5, 3)).astype("f"), rng.normal(size=(3, 3)).astype("f")])


def test_what_leads_to_a_scan_trains_on_keras():
    x = dagir.Input(("time", 3))
    model = dagir.Model(x, layers.Dense(1)(layers.RNN(Leaky(2))(x)))
    rng = np.random.default_rng(0)
    feed, target = rng.normal(size=(8, 5, 3)).astype("float32"), rng.normal(size=(8, 1)).astype("float32")
    before = model.get_weights()
    model.compile(optimizer="sgd", loss="mse")
    model.fit(feed, target, epochs=1, verbose=0)
    assert all(not np.array_equal(old, new) for old, new in zip(before[:3], model.get_weights(), strict=False))


@pytest.mark.parametrize(
    "make",
    [
        lambda lib: lib.RNN(lib.LSTMCell(4)),
        lambda lib: lib.RNN([lib.LSTMCell(4), lib.GRUCell(3)]),
        lambda lib: lib.RNN(lib.StackedRNNCells([lib.SimpleRNNCell(4, name="low"), lib.SimpleRNNCell(3)])),
        lambda lib: lib.LSTM(4),
        lambda lib: lib.GRU(4, name="mine"),
        lambda lib: lib.SimpleRNN(4),
    ],
)
def test_weights_have_the_paths_of_keras(make):
    same_paths(make, (None, 3))


@pytest.mark.parametrize("kind", ["native", "stack", "own", "mixed", "lstm"])
def test_saving_and_cloning(kind, tmp_path):
    make = {
        "native": lambda: layers.RNN(layers.LSTMCell(4), return_state=True),
        "stack": lambda: layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)], return_state=True),
        "own": lambda: layers.RNN(Leaky(2), return_sequences=True),
        "mixed": lambda: layers.RNN([layers.GRUCell(4), Leaky(2)], go_backwards=True),
        "lstm": lambda: layers.LSTM(4, activation="silu"),
    }[kind]
    model = model_over(make(), ("time", 3))
    feeds = [np.random.default_rng(0).normal(size=(3, 5, 3)).astype("float32")]
    survives(model, feeds, tmp_path, {"Leaky": Leaky})


def test_wrong_cells_are_refused():
    x = dagir.Input((None, 3))
    with pytest.raises(ArgumentError, match="has no state_size"):
        layers.RNN(layers.Dense(3))
    with pytest.raises(ArgumentError, match=r"a cell is a dagir\.Layer"):
        layers.RNN(lambda x: x)
    with pytest.raises(ArgumentError, match="takes 2 initial state"):
        layers.RNN(layers.LSTMCell(2))(x, initial_state=[dagir.Input((2,))])
    with pytest.raises(ArgumentError, match=r"takes 2 state\(s\), got 1"):
        layers.LSTMCell(2)(dagir.Input((3,)), [dagir.Input((2,))])
    with pytest.raises(ArgumentError, match="stateful"):
        layers.RNN(layers.GRUCell(2), stateful=True)

    class Growing(Leaky):
        def call(self, inputs, states):
            return inputs, [ops.concatenate([states[0], states[0]], axis=-1)]

    with pytest.raises(ShapeError, match=r"state 0 has shape .* a step makes it"):
        layers.RNN(Growing(2))(x)
