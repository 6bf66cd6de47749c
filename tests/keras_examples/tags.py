"""Text: convolutions, tags along the best path, memories, running sums."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L

from keras_examples.registry import example
from keras_examples.text import WORDS, words


class LargestInOrder(L.Layer):
    """The k largest of each channel, in the order in which they stand."""

    def call(self, x):
        x = tf.transpose(x, [0, 2, 1])
        _, places = tf.math.top_k(x, k=3)
        return tf.reshape(tf.gather(x, tf.sort(places, axis=-1), batch_dims=2), [-1, 3 * x.shape[1]])


@example(sizes=((6,), (9,)))
def convolved_text():
    x = words()
    kernel = tf.constant(np.linspace(-1, 1, 3 * 5 * 4).reshape(3, 5, 4), tf.float32)
    conv = L.Lambda(lambda z: tf.nn.conv1d(z, kernel, stride=1, padding="SAME"))
    return keras.Model(x, LargestInOrder()(conv(L.Embedding(WORDS, 5)(x))))


class Viterbi(L.Layer):
    """The best path of tags, by a scan forwards and one backwards."""

    def __init__(self, tags):
        super().__init__()
        self.tags = tags

    def build(self, shape):
        self.change = self.add_weight(shape=(self.tags, self.tags), name="change")

    def call(self, scores):
        steps = tf.transpose(scores, [1, 0, 2])

        def forward(state, now):
            total = state[0][:, :, None] + self.change[None]
            return tf.reduce_max(total, axis=1) + now, tf.argmax(total, axis=1, output_type=tf.int32)

        zeros = tf.zeros_like(steps[0], dtype=tf.int32)
        best, back = tf.scan(forward, steps[1:], initializer=(steps[0], zeros))
        last = tf.argmax(best[-1], axis=-1, output_type=tf.int32)
        path = tf.scan(lambda tag, row: tf.gather(row, tag, batch_dims=1), back, initializer=last, reverse=True)
        return tf.transpose(tf.concat([path, last[None]], axis=0)), tf.reduce_max(best[-1], axis=-1)


@example()
def best_path_of_tags():
    x = words()
    return keras.Model(x, Viterbi(3)(L.Dense(3)(L.Embedding(WORDS, 4)(x))))


class Memory(L.Layer):
    """Answers from sentences: what matches a question, summed."""

    def __init__(self):
        super().__init__()
        self.m, self.c, self.u = L.Embedding(WORDS, 5), L.Embedding(WORDS, 4), L.Embedding(WORDS, 5)

    def call(self, story, question):
        match = tf.nn.softmax(tf.matmul(self.m(story), self.u(question), transpose_b=True), axis=-1)
        return tf.concat([tf.transpose(match + self.c(story), perm=(0, 2, 1)), self.u(question)], axis=-1)


@example()
def memory_network():
    story, question = keras.Input((6,), dtype="int32"), keras.Input((4,), dtype="int32")
    return keras.Model([story, question], L.LSTM(3)(Memory()(story, question)))


class Linear(L.Layer):
    """Attention without a softmax: running sums of keys and values."""

    def __init__(self, width):
        super().__init__()
        self.qkv = L.Dense(3 * width)

    def call(self, x):
        q, k, v = tf.split(self.qkv(x), 3, axis=-1)
        q, k = tf.nn.elu(q) + 1, tf.nn.elu(k) + 1
        sums = tf.cumsum(tf.einsum("btd,bte->btde", k, v), axis=1)
        norm = tf.reduce_sum(q * tf.cumsum(k, axis=1), axis=-1, keepdims=True)
        return tf.einsum("btd,btde->bte", q, sums) / norm


@example()
def linear_attention():
    x = keras.Input((None, 4))
    return keras.Model(x, Linear(4)(x))
