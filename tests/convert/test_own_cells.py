"""RNN over a cell of one's own: the cell's call is traced, one step for all."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops as K

import dagir
from convert.agreement import agrees
from convert.zoo import randomize
from dagir.errors import UnsupportedLayer


@keras.saving.register_keras_serializable("own_cells")
class MinimalRNNCell(L.Layer):
    """keras.io, working_with_rnns."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")
        self.recurrent = self.add_weight(shape=(self.units, self.units), name="recurrent")

    def call(self, inputs, states):
        output = K.matmul(inputs, self.kernel) + K.matmul(states[0], self.recurrent)
        return output, [output]


class TwoStates(MinimalRNNCell):
    """Sizes from the batch, layers inside, a state of its own to begin with, an output of another size."""

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.state_size, self.output_size = [units, 2], 3
        self.head = L.Dense(3, activation="tanh")

    def build(self, shape):
        super().build(shape)
        self.head.build((None, self.units))

    def get_initial_state(self, batch_size=None):
        return [K.ones((batch_size, self.units)), K.zeros((batch_size, 2))]

    def call(self, inputs, states, training=False):
        hidden, last = states
        ones = K.ones((K.shape(inputs)[0], 1))
        new = K.tanh(K.matmul(inputs, self.kernel) + K.matmul(hidden, self.recurrent)) + ones
        if training:
            new = new * 0
        return self.head(new) + K.sum(last, -1, keepdims=True), [new, last + new[:, :2]]


class Doubled(L.GRUCell):
    """A cell of Keras, and something more."""

    def call(self, inputs, states, training=False):
        output, new = super().call(inputs, states, training=training)
        return output * 2, new


LAYERS = {
    "one state": lambda: L.RNN(MinimalRNNCell(4)),
    "sequences and states": lambda: L.RNN(MinimalRNNCell(4), return_sequences=True, return_state=True),
    "backwards": lambda: L.RNN(MinimalRNNCell(4), return_sequences=True, go_backwards=True),
    "two states": lambda: L.RNN(TwoStates(4), return_sequences=True, return_state=True),
    "stacked": lambda: L.RNN([MinimalRNNCell(4), L.LSTMCell(3), TwoStates(2)]),
    "masked": lambda: lambda x: L.RNN(TwoStates(4), return_sequences=True)(L.Masking()(x)),
    "both ways": lambda: L.Bidirectional(L.RNN(MinimalRNNCell(4))),
}


def agrees_over_steps(layer):
    x = keras.Input((None, 5), name="x")
    made = keras.Model(x, layer(x))
    randomize(made)
    feeds = [np.random.default_rng(0).normal(size=shape).astype("float32") for shape in ((1, 3, 5), (3, 6, 5))]
    for feed in feeds:
        feed[:, -1] = 0
    return made, agrees(made, *feeds, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_a_cell_of_ones_own(name):
    made, read = agrees_over_steps(LAYERS[name]())
    assert sorted(w.shape for w in read.weights) == sorted(tuple(w.shape) for w in made.weights)


def test_a_cell_of_keras_and_something_more():
    agrees_over_steps(L.RNN(Doubled(4)))


def test_a_cell_that_cannot_be_traced_is_told():
    class Counts(MinimalRNNCell):
        def call(self, inputs, states):
            output, new = super().call(inputs, states)
            return output * float(K.shape(inputs)[0]), new

    x = keras.Input((None, 5), name="x")
    layer = L.RNN(Counts(4), name="counting")
    layer.compute_output_spec = lambda x, **_: keras.KerasTensor((None, 4))
    made = keras.Model(x, layer(x))
    with pytest.raises(UnsupportedLayer, match=r"it needs a number \(float\) of the size batch"):
        dagir.from_keras(made)


class Stepping(MinimalRNNCell):
    """One that a file can hold, given to the reader by its class of Keras."""

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def test_what_is_read_from_a_file_is_written_as_every_kind_of_file(tmp_path):
    """The call of the layer in the second file mentions an input of the model that it was traced in."""
    x = keras.Input((None, 5), name="x")
    made = keras.Model(x, L.RNN(Stepping(4), return_sequences=True)(x))
    made.save(tmp_path / "first.keras")
    first = dagir.from_keras(tmp_path / "first.keras", custom_objects={"Stepping": Stepping})
    dagir.to_keras(first).save(tmp_path / "second.keras")
    second = dagir.from_keras(tmp_path / "second.keras")
    second.save(tmp_path / "third.dagir")
    third = dagir.load(tmp_path / "third.dagir")
    dagir.to_keras(third).save(tmp_path / "fourth.keras")
    given = np.random.default_rng(0).normal(size=(2, 4, 5)).astype("float32")
    wanted = made(given)
    for each in (first, second, third, dagir.from_keras(tmp_path / "fourth.keras")):
        np.testing.assert_allclose(dagir.lower(each, "onnx")(given), wanted, 1e-5, 1e-5)
