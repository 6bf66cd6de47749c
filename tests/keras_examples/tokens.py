"""Images and videos as few tokens: learned, shifted, modulated, cut as tubes."""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import layers as L

from keras_examples.registry import example, image


class TokenLearner(L.Layer):
    def __init__(self, tokens):
        super().__init__()
        self.maps = keras.Sequential([L.Conv2D(tokens, 3, padding="same", activation="gelu"), L.Conv2D(tokens, 1)])
        self.norm, self.tokens = L.LayerNormalization(), tokens

    def call(self, x):
        flat = tf.reshape(x, (-1, tf.shape(x)[1] * tf.shape(x)[2], x.shape[-1]))
        maps = tf.reshape(tf.nn.sigmoid(self.maps(self.norm(x))), (tf.shape(x)[0], -1, self.tokens))
        maps = tf.transpose(maps, perm=[0, 2, 1])[..., tf.newaxis]
        return tf.reduce_mean(maps * tf.expand_dims(flat, 1), axis=2)


@example(sizes=((4, 6), (7, 5)))
def learned_tokens():
    x = image(5)
    return keras.Model(x, TokenLearner(3)(x))


class Shift(L.Layer):
    """Parts of the channels go one pixel to each side: cut and padded, with no weight."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    def moved(self, x, down, right):
        top, left = max(0, -down), max(0, -right)
        height, width = self.size - abs(down), self.size - abs(right)
        x = tf.image.crop_to_bounding_box(x, top, left, height, width)
        return tf.image.pad_to_bounding_box(x, max(0, down), max(0, right), self.size, self.size)

    def call(self, x):
        parts = tf.split(x, [1, 1, 1, 1, -1], axis=-1)
        ways = [(1, 0), (-1, 0), (0, 1), (0, -1)]
        moved = [self.moved(part, *way) for part, way in zip(parts, ways, strict=False)]
        return tf.concat([*moved, parts[-1]], axis=-1)


@example()
def shifted_channels():
    x = image(6, size=5)
    return keras.Model(x, L.Dense(6)(Shift(5)(x)))


class FocalModulation(L.Layer):
    def __init__(self, width, levels):
        super().__init__()
        self.width, self.levels = width, levels
        self.first, self.last, self.mix = L.Dense(2 * width + levels + 1), L.Dense(width), L.Conv2D(width, 1)
        self.focal = [
            L.DepthwiseConv2D(2 * level + 3, padding="same", activation=tf.nn.gelu) for level in range(levels)
        ]

    def call(self, x):
        query, context, gates = tf.split(self.first(x), [self.width, self.width, self.levels + 1], -1)
        total = tf.zeros_like(context)
        for level, focal in enumerate(self.focal):
            context = focal(context)
            total += context * gates[..., level : level + 1]
        everywhere = tf.nn.gelu(tf.reduce_mean(context, axis=[1, 2], keepdims=True))
        total += everywhere * gates[..., self.levels :]
        return self.last(query * self.mix(total))


@example(sizes=((4, 6), (7, 5)))
def focal_modulation():
    x = image(4)
    return keras.Model(x, FocalModulation(4, 2)(x))


class Tubelets(L.Layer):
    def __init__(self, width):
        super().__init__()
        self.cut, self.flat = L.Conv3D(width, 2, strides=2), L.Reshape((-1, width))

    def call(self, videos):
        return self.flat(self.cut(videos))


class Places(L.Layer):
    def __init__(self, width):
        super().__init__()
        self.width = width

    def build(self, shape):
        _, count, _ = shape
        self.table = L.Embedding(count, self.width)
        self.numbers = tf.range(0, count, 1)

    def call(self, x):
        return x + self.table(self.numbers)


@example()
def video_transformer():
    x = keras.Input((4, 4, 4, 1))
    y = Places(6)(Tubelets(6)(x))
    return keras.Model(x, L.GlobalAveragePooling1D()(y + L.MultiHeadAttention(2, 3)(y, y)))
