"""Models of the kind that tutorials show, with layers of their own: taken from memory, right at two sizes each."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops as K

import dagir
from convert.test_kinds_of_calls import agrees, floats


def ids(count, *shape):
    return np.random.default_rng(len(shape)).integers(1, count, shape).astype("int32")


class Tokens(L.Layer):
    """Embeddings of ids and of their places; id 0 is padding."""

    def __init__(self, places, words, width):
        super().__init__()
        self.words, self.places = L.Embedding(words, width), L.Embedding(places, width)

    def call(self, x):
        return self.words(x) + self.places(K.arange(0, K.shape(x)[-1], 1))

    def compute_mask(self, x, mask=None):
        return K.not_equal(x, 0)


class Decoder(L.Layer):
    """A block with a causal mask that is tiled by a tensor of sizes, and attention to an encoded sequence."""

    def __init__(self, width):
        super().__init__()
        self.inner, self.outer = L.MultiHeadAttention(2, width), L.MultiHeadAttention(2, width)
        self.norm, self.supports_masking = L.LayerNormalization(), True

    def causal(self, x):
        batch, steps = K.shape(x)[0], K.shape(x)[1]
        seen = K.cast(K.arange(steps)[:, None] >= K.arange(steps), "int32")
        counts = K.concatenate([K.expand_dims(batch, -1), K.convert_to_tensor([1, 1])], axis=0)
        return K.tile(K.reshape(seen, (1, steps, steps)), counts)

    def call(self, inputs, mask=None):
        x, encoded = inputs
        padding, other = (None, None) if mask is None else mask
        x = x + self.inner(x, x, attention_mask=self.causal(x), query_mask=padding)
        return self.norm(x + self.outer(x, encoded, query_mask=padding, key_mask=other))

    def compute_output_shape(self, shapes):
        return shapes[0]


def translation():
    source, target = (keras.Input((None,), dtype="int32", name=name) for name in ("source", "target"))
    encoded = L.Bidirectional(L.GRU(4, return_sequences=True))(Tokens(12, 20, 8)(source))
    made = keras.Model([source, target], L.Dense(20)(Decoder(8)([Tokens(12, 20, 8)(target), encoded])))
    padded = ids(20, 2, 7)
    padded[:, 5:] = 0
    return made, [padded, ids(20, 2, 5)], [ids(20, 3, 9), ids(20, 3, 8)]


class Gated(L.Layer):
    """A gated residual block, which projects its input only where the widths differ."""

    def __init__(self, units):
        super().__init__()
        self.units, self.first, self.second = units, L.Dense(units, activation="elu"), L.Dense(units)
        self.linear, self.gate = L.Dense(units), L.Dense(units, activation="sigmoid")
        self.norm, self.project = L.LayerNormalization(), L.Dense(units)

    def call(self, x):
        inner = self.second(self.first(x))
        if x.shape[-1] != self.units:
            x = self.project(x)
        return self.norm(x + self.linear(inner) * self.gate(inner))


class Selected(L.Layer):
    """Features weighed by a softmax that all of them decide."""

    def __init__(self, count, units):
        super().__init__()
        self.each, self.together = [Gated(units) for _ in range(count)], Gated(units)
        self.weights_of = L.Dense(count, activation="softmax")

    def call(self, inputs):
        weights = K.expand_dims(self.weights_of(self.together(L.concatenate(inputs))), axis=-1)
        stacked = K.stack([part(x) for part, x in zip(self.each, inputs, strict=True)], axis=1)
        return K.squeeze(K.matmul(K.transpose(weights, (0, 2, 1)), stacked), axis=1)


def table():
    numbers, kind = [keras.Input((1,)) for _ in range(2)], keras.Input((), dtype="int64")
    features = [*map(L.Dense(4), numbers), L.Embedding(5, 4)(kind)]
    made = keras.Model([*numbers, kind], L.Dense(2)(Selected(3, 4)(features)))
    return made, *([floats(n, 1), floats(n, 1), ids(5, n).astype("int64")] for n in (2, 3))


class Quantized(L.Layer):
    """The nearest vector of a code book, with the losses of its training."""

    def build(self, shape):
        self.book = self.add_weight(shape=(shape[-1], 6), initializer="random_uniform")

    def call(self, x):
        flat = K.reshape(x, (-1, x.shape[-1]))
        far = K.sum(flat**2, 1, keepdims=True) + K.sum(self.book**2, 0) - 2 * K.matmul(flat, self.book)
        codes = K.one_hot(K.argmin(far, axis=1), 6)
        found = K.reshape(K.matmul(codes, K.transpose(self.book)), K.shape(x))
        self.add_loss(K.mean((K.stop_gradient(found) - x) ** 2))
        return x + K.stop_gradient(found - x)


def autoencoder():
    x = keras.Input((8, 8, 1))
    codes = Quantized()(L.Conv2D(4, 3, 2, padding="same", activation="relu")(x))
    return keras.Model(x, L.Conv2DTranspose(1, 3, 2, padding="same")(codes)), floats(2, 8, 8, 1), floats(3, 8, 8, 1)


class Upscaled(L.Layer):
    """Channels moved into pixels, by sizes of the run."""

    def call(self, x):
        batch, height, width, channels = K.shape(x)
        x = K.transpose(K.reshape(x, (batch, height, width, 2, 2, channels // 4)), (0, 1, 3, 2, 4, 5))
        return K.reshape(x, (batch, height * 2, width * 2, channels // 4))


def super_resolution():
    x = keras.Input((None, None, 1))
    wide = L.Conv2D(8, 3, padding="same", activation="relu")(x)
    return keras.Model(x, Upscaled()(wide)), floats(2, 5, 6, 1), floats(1, 7, 4, 1)


class Windows(L.Layer):
    """Attention in windows that are shifted, with a table of relative places; the masks are made in `build`."""

    def __init__(self, size, width, shift):
        super().__init__()
        self.size, self.shift, self.attend = size, shift, L.Dense(3 * width)

    def build(self, shape):
        self.attend.build(shape)
        apart = np.abs(np.subtract.outer(np.arange(self.size), np.arange(self.size)))
        self.apart = self.add_weight(shape=apart.shape, initializer="zeros", dtype="int32", trainable=False)
        self.apart.assign(apart)
        self.bias = self.add_weight(shape=(self.size,), initializer="ones")

    def call(self, x):
        _, steps, width = x.shape
        x = K.reshape(K.roll(x, -self.shift, axis=1), (-1, self.size, width))
        query, key, value = K.unstack(K.reshape(self.attend(x), (-1, self.size, 3, width)), axis=2)
        bias = K.reshape(K.take(self.bias, K.reshape(self.apart, (-1,)), axis=0), (1, self.size, self.size))
        found = keras.activations.softmax(query @ K.transpose(key, (0, 2, 1)) + bias, axis=-1) @ value
        return K.roll(K.reshape(found, (-1, steps, width)), self.shift, axis=1)


def windows():
    x = keras.Input((8, 4))
    return keras.Model(x, Windows(4, 4, 1)(Windows(4, 4, 0)(x))), floats(2, 8, 4), floats(3, 8, 4)


EXAMPLES = [translation, table, autoencoder, super_resolution, windows]


@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras's, of layers that it cannot build before their first call
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda function: function.__name__)
def test_examples(example):
    made, *sizes = example()
    agrees(made, *sizes, read=dagir.from_keras(made))
