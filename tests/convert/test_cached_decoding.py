"""A step of a decoder that keeps its keys and values: token ids, the cache, and the place where the step writes."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from keras import layers as L
from keras import ops as K

import dagir

WIDTH, HEADS, WORDS = 8, 2, 11


class Rotation(L.Layer):
    """Rotates pairs of features by the place of each step."""

    def call(self, x, start):
        length, half = K.shape(x)[1], x.shape[-1] // 2
        rates = K.power(10.0, -K.arange(half, dtype="float32") / half)
        places = K.cast(K.arange(length), "float32") + K.cast(start, "float32")
        angles = K.einsum("i,j->ij", places, rates)[None, :, None, :]
        low, high = K.split(x, 2, axis=-1)
        turned = [low * K.cos(angles) - high * K.sin(angles), high * K.cos(angles) + low * K.sin(angles)]
        return K.reshape(K.stack(turned, axis=-1), K.shape(x))


class CachedAttention(L.Layer):
    """Causal attention of the steps to all places of the cache up to theirs, within a window if there is one."""

    def __init__(self, window=None, **kwargs):
        super().__init__(**kwargs)
        self.window = window
        self.parts = [L.EinsumDense("abc,cde->abde", (None, HEADS, WIDTH // HEADS), name=name) for name in "qkv"]
        self.out = L.EinsumDense("abde,dec->abc", (None, WIDTH), name="o")
        self.rotate = Rotation()

    def build(self, shape):
        for part in self.parts:
            part.build(shape)
        self.out.build((*shape[:2], HEADS, WIDTH // HEADS))

    def call(self, x, cache=None, start=0):
        query, key, value = (part(x) for part in self.parts)
        query, key = self.rotate(query, start), self.rotate(key, start)
        if cache is not None:
            place = [0, start, 0, 0]
            key = K.slice_update(cache[:, 0, ...], place, key)
            value = K.slice_update(cache[:, 1, ...], place, value)
        steps, places = K.shape(query)[1], K.shape(key)[1]
        rows = K.expand_dims(K.arange(steps) + start, 1)
        seen = K.greater_equal(rows, K.expand_dims(K.arange(places), 0))
        if self.window is not None:
            wide = K.cast(K.minimum(places, self.window - 1), "int32")
            band = tf.linalg.band_part(K.ones((places, places), "bool"), wide, wide)
            seen = K.logical_and(seen, K.slice(band, (start, 0), (steps, places)))
        scores = K.einsum("aqhd,akhd->ahqk", query, key) / (WIDTH // HEADS) ** 0.5
        weights = K.softmax(K.where(seen[None, None], scores, -1e9))
        made = self.out(K.einsum("ahqk,akhd->aqhd", weights, value))
        return made if cache is None else (made, K.stack([key, value], axis=1))

    def compute_output_spec(self, x, cache=None, start=0):
        return x if cache is None else (x, cache)


class Decoder(keras.Model):
    """Gives scores of the next word, and the cache with this step's keys and values."""

    def __init__(self, window=None):
        super().__init__()
        self.words = L.Embedding(WORDS, WIDTH)
        self.attentions = [CachedAttention(window), CachedAttention()]
        self.norm = L.LayerNormalization()

    def call(self, inputs):
        x, caches = self.words(inputs["tokens"]), []
        for place, attention in enumerate(self.attentions):
            made, cache = attention(self.norm(x), cache=inputs["cache"][:, place, ...], start=inputs["at"])
            x, caches = x + made, [*caches, cache]
        return {"scores": self.norm(x), "cache": K.stack(caches, axis=1)}


def feed(batch, steps, length, at):
    rng = np.random.default_rng(batch * 100 + length)
    cache = rng.normal(size=(batch, 2, 2, length, HEADS, WIDTH // HEADS)).astype("float32")
    return {"tokens": rng.integers(0, WORDS, (batch, steps)).astype("int32"), "cache": cache, "at": np.int32(at)}


def decoder(window):
    made = Decoder(window)
    made({key: K.convert_to_tensor(part) for key, part in feed(1, 1, 4, 0).items()})
    inputs = {
        "tokens": dagir.Input(batch_shape=("batch", "steps"), dtype="int32", name="tokens"),
        "cache": dagir.Input(batch_shape=("batch", 2, 2, "length", HEADS, WIDTH // HEADS), name="cache"),
        "at": dagir.Input(batch_shape=(), dtype="int32", name="at"),
    }
    read = dagir.from_keras(made, inputs=inputs)
    return made, [dagir.lower(read, name) for name in ("numpy", "onnx")]


@pytest.fixture(scope="module", params=[None, 3], ids=["full", "window"])
def decoders(request):
    return decoder(request.param)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 4), st.integers(0, 2))
def test_a_step_at_any_place_of_a_cache_of_any_length(decoders, batch, steps, at, rest):
    made, backends = decoders
    arrays = feed(batch, steps, at + steps + rest, at)
    expected = made({key: K.convert_to_tensor(part) for key, part in arrays.items()})
    for executable in backends:
        found = executable(arrays)
        for key, theirs in expected.items():
            np.testing.assert_allclose(found[key], np.asarray(theirs), atol=1e-5)


def test_steps_one_by_one_give_what_the_whole_sequence_gives(decoders):
    _, (_, onnx) = decoders
    whole = feed(2, 5, 5, 0)
    expected = onnx(whole)["scores"]
    cache = np.zeros_like(whole["cache"])
    for at in range(5):
        made = onnx({"tokens": whole["tokens"][:, at : at + 1], "cache": cache, "at": np.int32(at)})
        cache = made["cache"]
        np.testing.assert_allclose(made["scores"][:, 0], expected[:, at], atol=1e-5)
