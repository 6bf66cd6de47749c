"""A layer with several outputs is all of them by its name, and a model can be cut at any of them."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import dagir
from dagir import ops
from dagir.errors import InvalidGraph
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
