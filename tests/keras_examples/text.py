"""Text: transformers, translation, experts, tags, answers, decoding in loops."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L

from keras_examples.registry import example

WORDS = 7


def words(name="words", dtype="int32"):
    return keras.Input((None,), dtype=dtype, name=name)


class Embedded(L.Layer):
    """Ids and their places; id 0 is padding."""

    def __init__(self, places, width):
        super().__init__()
        self.words, self.places = L.Embedding(WORDS, width), L.Embedding(places, width)
        self.scale = tf.math.sqrt(tf.cast(width, tf.float32))

    def call(self, x):
        length = tf.shape(x)[-1]
        return self.words(x) * self.scale + self.places(tf.range(start=0, limit=length, delta=1))

    def compute_mask(self, x, mask=None):
        return keras.ops.not_equal(x, 0)


class Block(L.Layer):
    def __init__(self, width, heads=2):
        super().__init__()
        self.attention, self.supports_masking = L.MultiHeadAttention(heads, width), True
        self.dense = keras.Sequential([L.Dense(2 * width, activation="relu"), L.Dense(width)])
        self.first, self.second, self.drop = (
            L.LayerNormalization(epsilon=1e-6),
            L.LayerNormalization(epsilon=1e-6),
            L.Dropout(0.1),
        )

    def call(self, x, mask=None, training=None):
        padding = tf.cast(mask[:, tf.newaxis, tf.newaxis, :], dtype="int32")[:, 0] if mask is not None else None
        y = self.first(x + self.drop(self.attention(x, x, attention_mask=padding), training=training))
        return self.second(y + self.dense(y))


@example()
def classified_text():
    x = words()
    y = Block(6)(Embedded(9, 6)(x))
    return keras.Model(x, L.Dense(2, activation="softmax")(L.GlobalAveragePooling1D()(y)))


class Decoder(L.Layer):
    def __init__(self, width):
        super().__init__()
        self.inner, self.outer = L.MultiHeadAttention(2, width), L.MultiHeadAttention(2, width)
        self.dense, self.norm, self.supports_masking = L.Dense(width, activation="relu"), L.LayerNormalization(), True

    def causal(self, x):
        shape = tf.shape(x)
        batch, steps = shape[0], shape[1]
        i, j = tf.range(steps)[:, tf.newaxis], tf.range(steps)
        mask = tf.reshape(tf.cast(i >= j, dtype="int32"), (1, shape[1], shape[1]))
        return tf.tile(mask, tf.concat([tf.expand_dims(batch, -1), tf.constant([1, 1], dtype=tf.int32)], axis=0))

    def call(self, x, encoded, mask=None, encoded_mask=None):
        causal = self.causal(x)
        if mask is not None:
            causal = tf.minimum(tf.cast(mask[:, tf.newaxis, :], dtype="int32"), causal)
        x = self.norm(x + self.inner(x, value=x, key=x, attention_mask=causal))
        return x + self.dense(x + self.outer(x, value=encoded, key=encoded))


@example(sizes=((5, 5), (8, 8)))
def translation():
    source, target = words("source", "int64"), words("target", "int64")
    encoded = Block(6)(Embedded(9, 6)(source))
    decoded = Decoder(6)(Embedded(9, 6)(target), encoded)
    return keras.Model([source, target], L.Dense(WORDS, activation="softmax")(decoded))


def triangle(batch, to, fro, dtype):
    i, j = tf.range(to)[:, None], tf.range(fro)
    mask = tf.reshape(tf.cast(i >= j - fro + to, dtype), [1, to, fro])
    return tf.tile(mask, tf.concat([tf.expand_dims(batch, -1), tf.constant([1, 1], dtype=tf.int32)], 0))


class CausalBlock(L.Layer):
    """Heads that are cut out of dense layers by hand."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.width = heads, width
        self.q, self.k, self.v, self.out, self.ff = (L.Dense(width) for _ in range(5))

    def compute_mask(self, x, mask=None):
        return None

    def split(self, x, batch):
        return tf.transpose(tf.reshape(x, (batch, -1, self.heads, self.width // self.heads)), perm=[0, 2, 1, 3])

    def call(self, x):
        batch, length = tf.shape(x)[0], tf.shape(x)[1]
        q, k, v = (self.split(dense(x), batch) for dense in (self.q, self.k, self.v))
        scores = tf.matmul(q, k, transpose_b=True)
        scores = scores / tf.math.sqrt(tf.cast(tf.shape(k)[-1], tf.float32))
        scores += (1.0 - triangle(batch, length, length, tf.float32)[:, tf.newaxis]) * -1e9
        mixed = tf.transpose(tf.matmul(tf.nn.softmax(scores, axis=-1), v), perm=[0, 2, 1, 3])
        x = x + self.out(tf.reshape(mixed, (batch, -1, self.width)))
        return x + self.ff(tf.nn.gelu(x))


@example()
def small_language_model():
    x = words()
    y = CausalBlock(8, 2)(Embedded(9, 8)(x))
    return keras.Model(x, [L.Dense(WORDS)(y), L.Lambda(lambda z: tf.math.log_softmax(z[:, -1, :]))(y)])


class Generator(keras.Model):
    """Words that are appended in a loop: each the likeliest after those before it."""

    def __init__(self, steps):
        super().__init__()
        self.steps, self.table, self.cell, self.out = steps, L.Embedding(WORDS, 5), L.GRUCell(5), L.Dense(WORDS)

    def build(self, shape):
        self.cell.build((None, 5))
        self.table.build()
        self.out.build((None, 5))

    def call(self, first):
        found = tf.TensorArray(tf.int32, size=self.steps, element_shape=[None])
        state = tf.zeros([tf.shape(first)[0], 5])

        def body(step, word, state, found):
            y, (state,) = self.cell(self.table(word), [state])
            word = tf.argmax(self.out(y), axis=-1, output_type=tf.int32)
            return step + 1, word, state, found.write(step, word)

        start = (tf.constant(0), tf.cast(first[:, 0], tf.int32), state, found)
        _, _, state, found = tf.while_loop(lambda step, *_: step < self.steps, body, start)
        return tf.transpose(found.stack()), state


@example()
def words_in_a_loop():
    first = keras.Input((1,), dtype="int32")
    return keras.Model(first, Generator(4)(first))


class MaskedWords(L.Layer):
    """The likeliest words at places that another input names."""

    def __init__(self):
        super().__init__()
        self.dense, self.norm = L.Dense(6, activation=tf.nn.gelu), L.LayerNormalization()
        self.supports_masking = True

    def build(self, shape):
        self.bias = self.add_weight(shape=(WORDS,), name="bias")

    def call(self, x, places, table):
        chosen = tf.gather(x, places, batch_dims=1)
        logits = tf.matmul(self.norm(self.dense(chosen)), table, transpose_b=True) + self.bias
        return tf.nn.softmax(logits)


@example(sizes=((7,), (9,)))
def masked_words():
    x, places = words(), keras.Input((2,), dtype="int32", name="places")
    embedded = Embedded(9, 6)
    y = Block(6)(embedded(x))
    return keras.Model([x, places], MaskedWords()(y, places, embedded.words.embeddings))


def turned(x):
    """Rotary places: pairs of channels turn by angles that grow along the steps."""
    length, width = tf.shape(x)[1], x.shape[-1]
    speeds = 1.0 / (10000 ** (tf.range(0, width, 2, dtype=tf.float32) / width))
    angles = tf.einsum("i,j->ij", tf.cast(tf.range(length), tf.float32), speeds)
    sin, cos = (tf.repeat(each, 2, axis=-1)[None] for each in (tf.sin(angles), tf.cos(angles)))
    pairs = tf.reshape(tf.stack([-x[..., 1::2], x[..., ::2]], axis=-1), tf.shape(x))
    return x * cos + pairs * sin


class Rotary(L.Layer):
    def __init__(self, width):
        super().__init__()
        self.q, self.k, self.v = (L.Dense(width, use_bias=False) for _ in range(3))

    def call(self, x):
        scores = tf.einsum("bqd,bkd->bqk", turned(self.q(x)), turned(self.k(x)))
        length = tf.shape(x)[1]
        apart = tf.cast(tf.range(length)[None] - tf.range(length)[:, None], tf.float32)
        scores = scores + tf.where(apart > 0, tf.float32.min, 0.5 * apart)  # and a bias that falls along the steps
        return tf.einsum("bqk,bkd->bqd", tf.nn.softmax(scores), self.v(x))


@example()
def rotary_places():
    x = keras.Input((None, 6))
    return keras.Model(x, Rotary(6)(x))


class Buckets(L.Layer):
    """Biases by how far apart words are, in buckets that grow with the distance."""

    def __init__(self, buckets, farthest):
        super().__init__()
        self.buckets, self.farthest, self.table = buckets, farthest, L.Embedding(buckets, 2)

    def call(self, x):
        steps = tf.range(tf.shape(x)[1])
        apart = steps[None, :] - steps[:, None]
        half = self.buckets // 2
        found = tf.cast(apart > 0, tf.int32) * half
        apart = tf.abs(apart)
        exact = half // 2
        far = tf.math.log(tf.cast(tf.maximum(apart, 1), tf.float32) / exact) / np.log(self.farthest / exact)
        far = exact + tf.cast(far * (half - exact), tf.int32)
        found += tf.where(tf.math.less(apart, exact), apart, tf.minimum(far, half - 1))
        return tf.expand_dims(tf.transpose(self.table(found), [2, 0, 1]), 0)


@example()
def buckets_of_distances():
    x = words()
    return keras.Model(x, Buckets(8, 16)(x))


class Experts(L.Layer):
    """Each token goes to one expert, as long as that has room."""

    def __init__(self, experts, width, capacity):
        super().__init__()
        self.experts, self.capacity, self.route = experts, capacity, L.Dense(experts)
        self.each = [keras.Sequential([L.Dense(2 * width, activation="relu"), L.Dense(width)]) for _ in range(experts)]
        self.width = width

    def build(self, shape):
        self.route.build((None, self.width))
        for expert in self.each:
            expert.build((None, self.width))

    def call(self, inputs):
        x = tf.reshape(inputs, [-1, self.width])
        shares = tf.nn.softmax(self.route(x), axis=-1)
        gate, index = tf.math.top_k(shares, k=1)
        index = tf.squeeze(index, -1)
        chosen = tf.one_hot(index, depth=self.experts)
        place = tf.cast(tf.math.cumsum(chosen, axis=0) * chosen, tf.int32)
        chosen *= tf.cast(tf.less(place, self.capacity + 1), tf.float32)
        gate = tf.squeeze(gate, -1) * tf.reduce_sum(chosen, axis=-1)
        room = tf.one_hot(tf.reduce_sum(place, -1) - 1, depth=self.capacity)
        combine = tf.expand_dims(gate[:, None] * chosen, -1) * room[:, None]
        dispatch = tf.cast(tf.cast(combine, tf.bool), tf.float32)
        given = tf.einsum("ab,acd->cdb", x, dispatch)
        made = tf.stack([each(one) for each, one in zip(self.each, tf.unstack(given, axis=0), strict=True)], axis=1)
        made = tf.transpose(made, [1, 0, 2])
        return tf.reshape(tf.einsum("abc,bcd->ad", combine, made), tf.shape(inputs))


@example()
def experts():
    x = keras.Input((None, 4))
    return keras.Model(x, Experts(3, 4, 6)(x))


class Additive(L.Layer):
    """Additive attention of a state to an encoded sequence, for each step of a decoder, by hand."""

    def __init__(self, units):
        super().__init__()
        self.w1, self.w2, self.v = L.Dense(units, use_bias=False), L.Dense(units, use_bias=False), L.Dense(1)

    def call(self, query, value, mask=None):
        scores = tf.squeeze(self.v(tf.nn.tanh(self.w1(query)[:, :, None, :] + self.w2(value)[:, None])), -1)
        weights = tf.nn.softmax(scores, axis=-1)
        return tf.linalg.matmul(weights, value), weights


@example(sizes=((5, 4), (8, 6)))
def additive_attention():
    source, target = words("source"), words("target")
    encoded, *states = L.Bidirectional(L.GRU(3, return_sequences=True, return_state=True))(
        L.Embedding(WORDS, 4)(source)
    )
    start = L.Lambda(lambda s: tf.concat(s, axis=-1))(states)
    decoded = L.GRU(6, return_sequences=True)(L.Embedding(WORDS, 4)(target), initial_state=start)
    mixed, weights = Additive(5)(decoded, encoded)
    joined = L.Lambda(lambda z: tf.math.tanh(tf.concat(z, -1)))([mixed, decoded])
    return keras.Model([source, target], [L.Dense(WORDS)(joined), weights])


class Spans(L.Layer):
    """The likeliest begin and end of an answer, the end not before the begin, no padding."""

    def call(self, x, ids):
        padding = tf.cast(tf.equal(ids, 0), tf.float32) * -1e9
        starts, ends = (tf.nn.softmax(each + padding) for each in tf.unstack(x, num=2, axis=-1))
        both = tf.linalg.band_part(starts[:, :, None] * ends[:, None], 0, 3)
        first = tf.argmax(tf.reduce_max(both, axis=2), axis=1)
        return starts, first, tf.math.argmax(tf.reduce_max(both, axis=1), axis=1)


@example(sizes=((5, 5), (8, 8)))
def spans_of_answers():
    x = words()
    return keras.Model(x, Spans()(L.Dense(2)(L.Embedding(WORDS, 5)(x)), x))


class MeanOfWords(L.Layer):
    """The mean of the vectors that are no padding, on a sphere; of all hidden vectors the largest."""

    def call(self, x, ids):
        kept = tf.cast(tf.expand_dims(tf.not_equal(ids, 0), -1), tf.float32)
        total = tf.reduce_sum(x * kept, axis=1) / tf.clip_by_value(tf.reduce_sum(kept, axis=1), 1e-9, 1e9)
        lengths = tf.reduce_sum(tf.cast(tf.math.logical_not(tf.equal(ids, 0)), tf.int32), axis=1)
        steps = tf.sequence_mask(lengths, tf.shape(ids)[1], dtype=tf.float32)
        return tf.linalg.normalize(total, axis=1)[0], tf.reduce_max(x - 1e9 * (1 - steps[..., None]), axis=1)


@example(sizes=((5, 5), (8, 8)))
def sentence_vectors():
    x = words()
    return keras.Model(x, MeanOfWords()(L.Bidirectional(L.LSTM(3, return_sequences=True))(L.Embedding(WORDS, 5)(x)), x))
