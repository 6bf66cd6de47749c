"""A layer with several outputs is all of them by its name, and a model can be cut at any of them."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import dagir
from dagir import ops
from dagir.errors import ArgumentError, InvalidGraph
from dagir.ir.nest import flatten

BACKENDS = ("numpy", "onnx", "keras")


def translator():
    """A sequence to a sequence: the decoder begins in the state of the encoder."""
    source = dagir.Input((None, 5), name="source")
    _, h, c = dagir.layers.LSTM(4, return_state=True, name="enc")(source)
    target = dagir.Input((None, 6), name="target")
    decoder = dagir.layers.LSTM(4, return_sequences=True, return_state=True, name="dec")
    y, _, _ = decoder(target, initial_state=[h, c])
    return dagir.Model([source, target], dagir.layers.Dense(6, name="probs")(y))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_translator_cut_at_the_states_of_its_encoder(backend, tmp_path):
    model = translator()
    rng = np.random.default_rng(0)
    source, target = (rng.normal(size=(2, 3, n)).astype("float32") for n in (5, 6))
    wanted = dagir.lower(model)([source, target])
    encoder = dagir.extract(model, "enc")
    assert encoder.output_names == ["enc", "enc_1", "enc_2"]
    _, h, c = dagir.lower(encoder, backend)(source)
    states = model.get_layer("enc").output[1:]
    for inputs in (["target", *states], ["target", "enc"]):
        decoder = dagir.extract(model, ["probs", "dec"], inputs=inputs)
        assert decoder.input_names == ["target", "enc", "enc_1"]
        assert decoder.output_names == ["probs", "dec", "dec_1", "dec_2"]
        decoder.save(tmp_path / "decoder.dagir")
        for each in (decoder, dagir.load(tmp_path / "decoder.dagir")):
            for given in ([target, h, c], {"target": target, "enc": h, "enc_1": c}):
                np.testing.assert_allclose(dagir.lower(each, backend)(given)[0], wanted, atol=1e-5)
    assert dagir.verify(decoder).ok


def test_outputs_stand_as_keras_has_them():
    query = keras.Input((4,))
    heads = keras.Model(query, {"emb": keras.layers.Dense(3)(query), "logit": keras.layers.Dense(2)(query)}, name="two")
    x = keras.Input((5, 4), name="x")
    y, scores = keras.layers.MultiHeadAttention(2, 3, name="att")(x, x, return_attention_scores=True)
    steps = keras.layers.LSTM(3, return_state=True, return_sequences=True, name="lstm")(y)
    both = heads(keras.ops.mean(steps[0] @ keras.ops.ones((3, 4)), 1))
    judge = keras.Model(x, keras.layers.Dense(1, name="out")(both["logit"]))
    model, array = dagir.from_keras(judge), np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    for name, outputs in (("att", [y, scores]), ("lstm", steps), ("two", both)):
        part = dagir.extract(model, name)
        wanted = keras.Model(x, outputs)(array)
        found = dagir.lower(part)(array)
        assert isinstance(found, dict) == isinstance(wanted, dict)
        order = list(found) if isinstance(found, dict) else range(len(found))
        for key in order:
            np.testing.assert_allclose(found[key], np.asarray(wanted[key]), atol=1e-5)
    nested = dagir.lower(dagir.extract(model, ["two", "out"]), "onnx")(array)
    assert [tuple(each.shape) for each in flatten(nested)] == [(2, 3), (2, 2), (2, 1)]


def test_parts_of_a_split_are_inputs_of_their_own():
    x = dagir.Input((6,), name="x")
    left, right = ops.split(x, 2, axis=-1)
    model = dagir.Model(x, left * right + left)
    part = dagir.extract(model, model.outputs[0], inputs=[left, right])
    assert part.input_names == ["slice", "slice_1"]
    a, b = np.random.default_rng(0).normal(size=(2, 2, 3)).astype("float32")
    for backend in BACKENDS:
        np.testing.assert_allclose(dagir.lower(part, backend)([a, b]), a * b + a, atol=1e-6)
        np.testing.assert_allclose(dagir.lower(part, backend)({"slice_1": b, "slice": a}), a * b + a, atol=1e-6)


def test_an_input_that_nobody_needs_is_still_refused():
    model = translator()
    with pytest.raises(InvalidGraph, match="needed by no output"):
        dagir.extract(model, "probs", inputs=["source", "target", model.get_layer("enc").output[0]])


class Several(dagir.Layer):
    """Three outputs of one input."""

    def call(self, x):
        return ops.relu(x), ops.tanh(x), ops.exp(x)


def several():
    x = dagir.Input((4,), name="x")
    a, b, c = Several(name="enc")(x)
    head = dagir.layers.Dense(3, name="head")(a + b)
    return dagir.Model(x, [head, a, b, c], name="m"), [a, b, c]


ROW = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")


@pytest.mark.parametrize("inputs", ["enc", ["enc"], {"key": "enc"}, {"key": ["enc"]}, {"key": ("enc",)}], ids=str)
def test_outputs_that_are_not_needed_are_left_out_in_every_structure(inputs):
    model, _ = several()
    wanted, a, b, _ = dagir.lower(model)(ROW)
    part = dagir.extract(model, "head", inputs=inputs)
    assert part.input_names == ["enc", "enc_1"]
    np.testing.assert_allclose(dagir.lower(part)({"enc": a, "enc_1": b}), wanted, atol=1e-6)


def test_what_is_left_alone_has_the_key():
    model, (a, b, c) = several()
    part = dagir.extract(model, ops.sqrt(c), inputs={"key": "enc"})
    assert part.input_names == ["key"]
    np.testing.assert_allclose(dagir.lower(part)({"key": ROW * ROW}), np.abs(ROW), atol=1e-6)
    with pytest.raises(InvalidGraph, match=r"'enc' .* is needed by no output"):
        dagir.extract(model, "head", inputs={"a": a, "b": b, "c": c})


def test_one_output_of_several_by_the_name_that_models_show():
    model, outputs = several()
    answers = dict(zip(model.output_names, dagir.lower(model)(ROW), strict=True))
    assert list(answers) == ["head", "enc", "enc_1", "enc_2"]
    inner = dagir.extract(model, "head")
    for name, output in (("enc_1", outputs[1]), ("enc_2", outputs[2])):
        for given in (model, dagir.Model(model.input, [model.output[0], output])):
            part = dagir.extract(given, name if given is model else "enc")
            found = part.predict(ROW, backend="numpy")
            np.testing.assert_array_equal(found if given is model else found[int(name[-1])], answers[name])
    np.testing.assert_array_equal(dagir.extract(inner, "enc_1").predict(ROW, backend="numpy"), answers["enc_1"])
    part = dagir.extract(model, "head", inputs=["enc"])
    again = dagir.extract(part, "head", inputs=part.input_names)
    assert again.inputs == part.inputs
    assert dagir.extract(part, "enc_1").inputs == [part.inputs[1]]
    x = dagir.Input((4,), name="x")
    outer = dagir.Model(x, model(x)[0], name="outer")
    np.testing.assert_array_equal(dagir.extract(outer, "m/enc_1").predict(ROW, backend="numpy"), answers["enc_1"])


def test_a_layer_has_its_name_before_an_output_of_another():
    x = dagir.Input((4,), name="x")
    a, _, c = Several(name="enc")(x)
    model = dagir.Model(x, [dagir.layers.Dense(2, name="enc_1")(a), c])
    assert model.output_names == ["enc_1", "enc"]
    assert dagir.extract(model, "enc_1").outputs == [model.outputs[0]]
    assert len(dagir.extract(model, "enc").outputs) == 3
    with pytest.raises(ArgumentError, match="has no layer or value 'enc_3'"):
        dagir.extract(model, "enc_3")


def test_outputs_of_a_shared_layer_are_told_by_the_call():
    x, y = dagir.Input((4,), name="x"), dagir.Input((4,), name="y")
    shared = Several(name="enc")
    first, second = shared(x), shared(y)
    model = dagir.Model([x, y], first[1] + second[2])
    with pytest.raises(ArgumentError, match="'enc_1' is called 2 times"):
        dagir.extract(model, "enc_1")
    assert dagir.extract(model, "enc_1:1").outputs == [second[1]]


def test_a_replacement_returns_as_many_values():
    model, _ = several()
    with pytest.raises(ArgumentError, match=r"in the place of layer 'enc' must return 3 value\(s\), it returned 1"):
        dagir.replace(model, {"enc": lambda x: x})
    with pytest.raises(ArgumentError, match=r"in the place of add must return 1 value\(s\), it returned 2"):
        dagir.replace(model, {model.get_layer("head").input: lambda a, b: (a, b)})
