"""Recurrent layers with stateful=True, judged by Keras itself, called on one window after the other."""

from __future__ import annotations

import keras
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers as L

import dagir
from convert.zoo import randomize
from dagir.errors import ArgumentError, UnsupportedLayer

BATCH, FEATURES = 2, 3
KINDS = {
    "LSTM": lambda **how: L.LSTM(4, **how),
    "GRU": lambda **how: L.GRU(3, reset_after=False, **how),
    "SimpleRNN": lambda **how: L.SimpleRNN(2, activation="sigmoid", **how),
    "a cell": lambda **how: L.RNN(L.GRUCell(3), **how),
    "a stack": lambda **how: L.RNN([L.LSTMCell(2), L.GRUCell(3)], **how),
    "both ways": lambda **how: L.Bidirectional(L.LSTM(2, **how)),
}


def rows(kind=L.Input, features=FEATURES):
    return kind(batch_shape=(BATCH, None, features), name="x")


def windows(rng, lengths, features=FEATURES):
    return [rng.normal(size=(BATCH, length, features)).astype("float32") for length in lengths]


def forget(model):
    for layer in model._flatten_layers():
        if isinstance(layer, L.RNN) and layer.stateful:
            for state in keras.tree.flatten(layer.states):
                if state is not None:  # of a layer that was copied for both directions
                    state.assign(keras.ops.zeros_like(state))


def answers(executable, types, inputs, count):
    """What it gives window by window, its states, of these types, handed on."""
    states = [np.zeros([size or BATCH for size in value.shape], "float32") for value in types]
    for window in inputs:
        found = keras.tree.flatten(executable(window, *states))
        states = found[count:]
        yield found[:count]


def continues(model, read, inputs, backends=("numpy", "onnx")):
    """That each backend gives what Keras gives, window by window."""
    runs = {name: dagir.lower(read, name) for name in backends}
    for name, run in runs.items():
        forget(model)
        for window, found in zip(inputs, answers(run, read.inputs[1:], inputs, len(model.outputs)), strict=True):
            for mine, theirs in zip(found, keras.tree.flatten(model(window)), strict=True):
                np.testing.assert_allclose(mine, theirs, atol=2e-6, err_msg=name)
    forget(model)


@given(st.data(), st.integers(0, 2**32 - 1))
@settings(max_examples=max(6, settings.default.max_examples // 10))
def test_the_states_are_inputs_and_outputs(data, seed):
    rng = np.random.default_rng(seed)
    x = rows()
    y = L.Masking(0.25)(x) if (masked := data.draw(st.booleans())) else x
    ends = []
    for _ in range(data.draw(st.integers(1, 2))):
        kind = data.draw(st.sampled_from(sorted(KINDS)))
        backwards = kind != "both ways" and data.draw(st.booleans())
        y = KINDS[kind](stateful=True, return_sequences=True, go_backwards=backwards)(y)
        ends.append(y)
        if data.draw(st.booleans()):
            ends.append(L.LSTM(2, stateful=data.draw(st.booleans()))(y))
    model = keras.Model(x, ends)
    randomize(model)
    inputs = windows(rng, data.draw(st.lists(st.integers(1, 4), min_size=2, max_size=3)))
    if masked:
        for window in inputs:
            window[rng.random(window.shape[:2]) < 0.4] = 0.25
    continues(model, dagir.from_keras(model, states="inputs"), inputs)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_all_backends_and_files_of_both_formats(kind, tmp_path):
    x = rows()
    model = keras.Model(x, L.Dense(2)(KINDS[kind](stateful=True)(x)))
    model.save(tmp_path / "m.keras")
    inputs = windows(np.random.default_rng(3), (3, 2))
    read = dagir.from_keras(tmp_path / "m.keras", states="inputs")
    assert [name.rpartition("_state_")[2] for name in read.input_names[1:]] == list("0123")[: len(read.inputs) - 1]
    assert read.output_names[1:] == [name.replace("_state_", "_new_state_") for name in read.input_names[1:]]
    assert not any("stateful': True" in str(layer.get_config()) for layer in read.layers)
    continues(model, read, inputs, ("numpy", "onnx", "keras"))
    read.save(tmp_path / "m.dagir")
    continues(model, dagir.load(tmp_path / "m.dagir"), inputs)
    dagir.to_keras(read).save(tmp_path / "again.keras")
    continues(model, dagir.from_keras(tmp_path / "again.keras"), inputs)
    assert dagir.verify(read).ok


def test_zeros_begin_each_call():
    x = rows()
    model = keras.Model(x, [L.LSTM(3, stateful=True)(x), L.Bidirectional(L.GRU(2, stateful=True))(x)])
    read = dagir.from_keras(model, states="zeros")
    assert read.input_names == ["x"]
    for window in windows(np.random.default_rng(1), (4, 2)):
        forget(model)
        for mine, theirs in zip(dagir.lower(read, "onnx")(window), model(window), strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_a_layer_in_a_model_in_a_stack():
    inner = keras.Sequential([rows(), L.LSTM(3, stateful=True, return_sequences=True), L.Dense(FEATURES)], name="inner")
    model = keras.Sequential([rows(), inner, L.GRU(2, stateful=True)])
    read = dagir.from_keras(model, states="inputs")
    continues(model, read, windows(np.random.default_rng(2), (2, 3)))


def test_states_that_are_given_back_anyway():
    x = rows()
    y, h, c = L.LSTM(3, stateful=True, return_state=True)(x)
    model = keras.Model({"x": x}, {"y": y, "h": h, "c": c})
    read = dagir.from_keras(model, states="inputs")
    assert read.output_names[:3] == ["y", "h", "c"] and len(read.outputs) == 5
    run = dagir.lower(read, "numpy")
    states = {name: np.zeros((BATCH, 3), "float32") for name in read.input_names[1:]}
    for window in windows(np.random.default_rng(4), (2, 3)):
        found, expected = run({"x": window, **states}), model({"x": window})
        for name in ("y", "h", "c"):
            np.testing.assert_allclose(found[name], expected[name], atol=1e-6)
        states = {name: found[name.replace("_state_", "_new_state_")] for name in states}


def test_a_state_that_each_call_is_given_stays_as_it_is():
    x, h = rows(), keras.Input(batch_shape=(BATCH, 3), name="h")
    model = keras.Model([x, h], L.GRU(3, stateful=True)(x, initial_state=[h]))
    read = dagir.from_keras(model, states="inputs")
    assert read.input_names == ["x", "h"]


def test_convolutional_states():
    x = keras.Input(batch_shape=(BATCH, None, 6, 2), name="x")
    model = keras.Model(x, L.ConvLSTM1D(3, 3, stateful=True)(x))
    read = dagir.from_keras(model, states="inputs")
    rng = np.random.default_rng(5)
    continues(model, read, [rng.normal(size=(BATCH, n, 6, 2)).astype("float32") for n in (2, 3)])


# ---- what cannot be taken


def test_they_are_refused_unless_asked_for():
    x = rows()
    model = keras.Model(x, L.LSTM(3, stateful=True, name="remembers")(x))
    with pytest.raises(UnsupportedLayer, match=r"remembers(.|\n)*states='inputs'(.|\n)*states='zeros'"):
        dagir.from_keras(model)


def test_a_layer_of_two_calls():
    x = rows()
    layer = L.LSTM(FEATURES, stateful=True, return_sequences=True, name="twice")
    model = keras.Model(x, layer(layer(x)))
    with pytest.raises(ArgumentError, match=r"'twice' is called more than once(.|\n)*zeros"):
        dagir.from_keras(model, states="inputs")


def test_a_layer_that_another_one_runs():
    class Own(L.Layer):
        def __init__(self):
            super().__init__(name="own")
            self.memory = L.LSTM(2, stateful=True, name="memory")

        def build(self, shape):
            self.memory.build(shape)

        def call(self, x):
            return self.memory(x) * 2.0

    x = rows()
    model = keras.Model(x, Own()(x))
    with pytest.raises(ArgumentError, match=r"'memory' cannot be an input: it is within(.|\n)*'own'(.|\n)*zeros"):
        dagir.from_keras(model, states="inputs")
    assert dagir.verify(dagir.from_keras(model, states="zeros")).ok


def test_a_layer_alone_has_no_inputs():
    assert dagir.from_keras(L.LSTM(2, stateful=True), states="zeros").stateful is False
    with pytest.raises(ArgumentError, match="states are inputs of a model"):
        dagir.from_keras(L.LSTM(2, stateful=True), states="inputs")


@pytest.mark.parametrize("how", ["inputs", "zeros"])
def test_keras_is_no_judge_of_a_call_that_goes_on(how, tmp_path):
    x = rows()
    model = keras.Model(x, L.LSTM(2, stateful=True)(x))
    model(np.ones((BATCH, 2, FEATURES), "float32"))
    dagir.to_onnx(dagir.from_keras(model, states=how), tmp_path / "m.onnx", verify=True)
    assert dagir.verified(tmp_path / "m.onnx").ok


def test_weights_alone(tmp_path):
    x = rows()
    model = keras.Model(x, L.LSTM(2, stateful=True)(x))
    model.save_weights(tmp_path / "m.weights.h5")
    (tmp_path / "m.json").write_text(model.to_json())
    for architecture in (tmp_path / "m.json", model):
        read = dagir.from_keras(tmp_path / "m.weights.h5", architecture=architecture, states="inputs")
        continues(model, read, windows(np.random.default_rng(6), (2, 3)))


def test_a_word_that_is_none():
    with pytest.raises(ArgumentError, match="did you mean inputs"):
        dagir.from_keras("m.keras", states="input")


def test_the_tool(tmp_path, called):
    x = rows()
    keras.Model(x, L.GRU(2, stateful=True, name="gru")(x)).save(tmp_path / "m.keras")
    for how, names in (("inputs", ["x", "gru_state_0"]), ("zeros", ["x"])):
        target = tmp_path / f"{how}.onnx"
        assert called(tmp_path / "m.keras", target, "--states", how)[0] == 0
        assert [each.name for each in onnx.load(target).graph.input] == names
        assert called("verify", tmp_path / "m.keras", target, "--states", how)[0] == 0
    code, _, err = called(tmp_path / "m.keras", tmp_path / "none.onnx")
    assert code == 4 and "--states" in err and not (tmp_path / "none.onnx").exists()
    code, _, err = called(target, tmp_path / "none.onnx", "--states", "zeros")
    assert code == 2 and "--states is for models of Keras" in err
