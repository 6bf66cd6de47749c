"""Transformers of images: patches, windows, latents, tokens that stand for classes."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L

from keras_examples.registry import example, image


class Patches(L.Layer):
    def __init__(self, side):
        super().__init__()
        self.side = side

    def call(self, images):
        count = tf.shape(images)[0]
        window = [1, self.side, self.side, 1]
        cut = tf.image.extract_patches(images, sizes=window, strides=window, rates=[1, 1, 1, 1], padding="VALID")
        return tf.reshape(cut, [count, -1, cut.shape[-1]])


class PlaceEncoder(L.Layer):
    def __init__(self, places, width):
        super().__init__()
        self.places, self.dense, self.table = places, L.Dense(width), L.Embedding(places, width)

    def call(self, patches):
        numbers = tf.range(start=0, limit=self.places, delta=1)
        return self.dense(patches) + self.table(numbers)


def mlp(x, *widths):
    for width in widths:
        x = L.Dense(width, activation=tf.nn.gelu)(x)
        x = L.Dropout(0.1)(x)
    return x


@example()
def vision_transformer():
    x = image(size=8)
    y = PlaceEncoder(16, 6)(Patches(2)(x))
    for _ in range(2):
        z = L.LayerNormalization(epsilon=1e-6)(y)
        y = L.Add()([L.MultiHeadAttention(2, 6, dropout=0.1)(z, z), y])
        y = L.Add()([mlp(L.LayerNormalization(epsilon=1e-6)(y), 12, 6), y])
    return keras.Model(x, L.Dense(4)(L.Flatten()(y)))


def windows_of(x, side):
    _, height, width, channels = x.shape
    x = tf.reshape(x, (-1, height // side, side, width // side, side, channels))
    return tf.reshape(tf.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, side, side, channels))


def windows_back(windows, side, height, width, channels):
    x = tf.reshape(windows, (-1, height // side, width // side, side, side, channels))
    return tf.reshape(tf.transpose(x, perm=(0, 1, 3, 2, 4, 5)), (-1, height, width, channels))


class WindowAttention(L.Layer):
    def __init__(self, width, side, heads):
        super().__init__()
        self.side, self.heads, self.scale = side, heads, (width // heads) ** -0.5
        self.qkv, self.out = L.Dense(3 * width), L.Dense(width)

    def build(self, shape):
        self.biases = self.add_weight(shape=((2 * self.side - 1) ** 2, self.heads), name="biases")
        places = np.stack(np.meshgrid(range(self.side), range(self.side), indexing="ij")).reshape(2, -1)
        apart = (places[:, :, None] - places[:, None]).transpose(1, 2, 0) + self.side - 1
        index = apart[..., 0] * (2 * self.side - 1) + apart[..., 1]
        self.index = tf.Variable(index, trainable=False, dtype=tf.int32, name="index")

    def call(self, x, regions=None):
        _, size, channels = x.shape
        qkv = tf.reshape(self.qkv(x), (-1, size, 3, self.heads, channels // self.heads))
        qkv = tf.transpose(qkv, (2, 0, 3, 1, 4))
        q, k, v = qkv[0], qkv[1], qkv[2]
        scores = (q * self.scale) @ tf.transpose(k, (0, 1, 3, 2))
        bias = tf.reshape(tf.gather(self.biases, tf.reshape(self.index, (-1,))), (size, size, -1))
        scores = scores + tf.expand_dims(tf.transpose(bias, (2, 0, 1)), axis=0)
        if regions is not None:
            count = regions.shape[0]
            regions = tf.cast(tf.expand_dims(tf.expand_dims(regions, 1), 0), tf.float32)
            scores = tf.reshape(scores, (-1, count, self.heads, size, size)) + regions
            scores = tf.reshape(scores, (-1, self.heads, size, size))
        mixed = tf.transpose(tf.nn.softmax(scores, axis=-1) @ v, (0, 2, 1, 3))
        return self.out(tf.reshape(mixed, (-1, size, channels)))


class ShiftedBlock(L.Layer):
    def __init__(self, width, grid, side, shift):
        super().__init__()
        self.grid, self.side, self.shift = grid, side, shift
        self.norm, self.attention = L.LayerNormalization(epsilon=1e-5), WindowAttention(width, side, 2)
        self.mlp = keras.Sequential([L.Dense(2 * width, activation="gelu"), L.Dense(width)])

    def build(self, shape):
        regions = np.zeros((1, self.grid, self.grid, 1), "float32")
        edges = (slice(0, -self.side), slice(-self.side, -self.shift), slice(-self.shift, None))
        for number, (rows, columns) in enumerate((rows, columns) for rows in edges for columns in edges):
            regions[:, rows, columns] = number
        flat = tf.reshape(windows_of(tf.convert_to_tensor(regions), self.side), (-1, self.side**2))
        apart = tf.expand_dims(flat, 1) - tf.expand_dims(flat, 2)
        self.regions = tf.Variable(tf.where(apart != 0, -100.0, 0.0), trainable=False)

    def call(self, x):
        width = x.shape[-1]
        y = tf.reshape(self.norm(x), (-1, self.grid, self.grid, width))
        y = tf.roll(y, shift=[-self.shift, -self.shift], axis=[1, 2])
        y = tf.reshape(windows_of(y, self.side), (-1, self.side**2, width))
        y = tf.reshape(self.attention(y, regions=self.regions), (-1, self.side, self.side, width))
        y = windows_back(y, self.side, self.grid, self.grid, width)
        y = tf.reshape(tf.roll(y, shift=[self.shift, self.shift], axis=[1, 2]), (-1, self.grid**2, width))
        x = x + y
        return x + self.mlp(x)


class Merging(L.Layer):
    def __init__(self, grid, width):
        super().__init__()
        self.grid, self.dense = grid, L.Dense(2 * width, use_bias=False)

    def call(self, x):
        x = tf.reshape(x, (-1, self.grid, self.grid, x.shape[-1]))
        parts = [x[:, row::2, column::2, :] for column in (0, 1) for row in (0, 1)]
        x = tf.concat(parts, axis=-1)
        return self.dense(tf.reshape(x, (-1, (self.grid // 2) ** 2, x.shape[-1])))


@example()
def shifted_windows():
    x = image(size=16)
    y = L.Dense(8)(Patches(2)(x))
    y = ShiftedBlock(8, 8, 4, 2)(y)
    return keras.Model(x, L.GlobalAveragePooling1D()(Merging(8, 8)(y)))


class Mixer(L.Layer):
    def __init__(self, patches, width):
        super().__init__()
        self.over_patches = keras.Sequential([L.Dense(patches), tf.keras.layers.Activation("gelu"), L.Dense(patches)])
        self.over_channels = keras.Sequential([L.Dense(width, activation="gelu"), L.Dense(width)])
        self.normalize = L.LayerNormalization(epsilon=1e-6)

    def build(self, shape):
        self.over_patches.build((shape[0], shape[2], shape[1]))
        self.over_channels.build(shape)

    def call(self, inputs):
        channels = tf.linalg.matrix_transpose(self.normalize(inputs))
        x = tf.linalg.matrix_transpose(self.over_patches(channels)) + inputs
        return x + self.over_channels(self.normalize(x))


class SpatialGate(L.Layer):
    def __init__(self, patches, width):
        super().__init__()
        self.first, self.last = L.Dense(2 * width, activation=tf.nn.gelu), L.Dense(width)
        self.spatial, self.norm = L.Dense(patches, bias_initializer="Ones"), L.LayerNormalization()

    def call(self, x):
        u, v = tf.split(self.first(x), num_or_size_splits=2, axis=2)
        v = tf.linalg.matrix_transpose(self.spatial(tf.linalg.matrix_transpose(self.norm(v))))
        return x + self.last(u * v)


@example()
def mixers():
    x = image(size=8)
    y = L.Dense(6)(L.Reshape((4, 48))(Patches(4)(x)))
    return keras.Model(x, L.GlobalAveragePooling1D()(SpatialGate(4, 6)(Mixer(4, 6)(y))))


class Perceiver(keras.Model):
    def __init__(self):
        super().__init__()
        self.patches, self.places = Patches(2), PlaceEncoder(16, 6)
        self.cross, self.inner = L.MultiHeadAttention(1, 6), L.MultiHeadAttention(2, 6)
        self.head = L.Dense(3)

    def build(self, shape):
        self.latents = self.add_weight(shape=(4, 6), name="latents")

    def call(self, inputs):
        seen = self.places(self.patches(inputs))
        latents = tf.tile(tf.expand_dims(self.latents, 0), [tf.shape(inputs)[0], 1, 1])
        for _ in range(2):
            latents = latents + self.cross(latents, seen)
            latents = latents + self.inner(latents, latents)
        return self.head(tf.reduce_mean(latents, axis=1))


@example()
def latents_that_look_at_patches():
    made = Perceiver()
    x = image(size=8)
    return keras.Model(x, made(x))


class SequencePooling(L.Layer):
    def __init__(self):
        super().__init__()
        self.weigh = L.Dense(1)

    def call(self, x):
        weights = tf.transpose(tf.nn.softmax(self.weigh(x), axis=1), perm=(0, 2, 1))
        return tf.squeeze(tf.matmul(weights, x), -2)


class DropPath(L.Layer):
    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def call(self, x, training=None):
        if training:
            shape = (tf.shape(x)[0],) + (1,) * (len(tf.shape(x)) - 1)
            kept = tf.floor(1 - self.rate + tf.random.uniform(shape, 0, 1))
            return x / (1 - self.rate) * kept
        return x


@example(sizes=((8, 12), (16, 8)))
def compact_transformer():
    x = image()
    y = L.MaxPooling2D(2)(L.Conv2D(6, 3, padding="same", activation="relu")(x))
    y = L.Lambda(
        lambda z: tf.reshape(z, (-1, tf.shape(z)[1] * tf.shape(z)[2], tf.shape(z)[-1])), output_shape=(None, 6)
    )(y)
    y = DropPath(0.2)(L.MultiHeadAttention(2, 6)(y, y)) + y
    return keras.Model(x, SequencePooling()(y))


class ExternalAttention(L.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.width, self.heads = width, heads
        self.first, self.keys, self.values = L.Dense(width * 4), L.Dense(width // heads), L.Dense(width * 4 // heads)
        self.last = L.Dense(width)

    def call(self, x):
        _, patches, _ = x.shape
        x = tf.reshape(self.first(x), [-1, patches, self.heads, self.width * 4 // self.heads])
        scores = tf.nn.softmax(self.keys(tf.transpose(x, [0, 2, 1, 3])), axis=2)
        scores = L.Lambda(
            lambda s: tf.divide(s, tf.convert_to_tensor(1e-9) + tf.reduce_sum(s, axis=-1, keepdims=True))
        )(scores)
        x = tf.transpose(self.values(scores), [0, 2, 1, 3])
        return self.last(tf.reshape(x, [-1, patches, self.width * 4]))


@example()
def external_attention():
    x = keras.Input((9, 8))
    return keras.Model(x, ExternalAttention(8, 2)(x))


class ClassToken(L.Layer):
    def build(self, shape):
        zeros = tf.zeros_initializer()
        self.token = tf.Variable(zeros(shape=(1, 1, shape[-1]), dtype=tf.float32) + 0.5, trainable=True, name="cls")

    def call(self, x):
        tokens = tf.broadcast_to(self.token, [tf.shape(x)[0], 1, x.shape[-1]])
        return tf.concat([tokens, x], axis=1)


class TalkingHeads(L.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.width = heads, width
        self.q, self.k, self.v, self.out = (L.Dense(width) for _ in range(4))
        self.before, self.after = L.Dense(heads), L.Dense(heads)

    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), initializer=keras.initializers.Constant(0.1), name="gamma")

    def split(self, x):
        batch, steps = tf.shape(x)[0], tf.shape(x)[1]
        return tf.transpose(tf.reshape(x, (batch, steps, self.heads, self.width // self.heads)), (0, 2, 1, 3))

    def call(self, x):
        batch, steps, channels = tf.unstack(tf.shape(x))
        q, k, v = (self.split(dense(x)) for dense in (self.q, self.k, self.v))
        scores = tf.matmul(q, k, transpose_b=True) / tf.math.sqrt(tf.cast(channels // self.heads, tf.float32))
        scores = tf.transpose(self.before(tf.transpose(scores, perm=[0, 2, 3, 1])), perm=[0, 3, 1, 2])
        scores = tf.nn.softmax(scores)
        scores = tf.transpose(self.after(tf.transpose(scores, [0, 2, 3, 1])), [0, 3, 1, 2])
        return x + self.gamma * self.out(
            tf.reshape(tf.transpose(tf.matmul(scores, v), (0, 2, 1, 3)), (batch, steps, channels))
        )


@example()
def class_attention():
    x = keras.Input((None, 8))
    y = TalkingHeads(8, 2)(ClassToken()(x))
    return keras.Model(x, [L.Lambda(lambda z: z[:, 0])(y), L.Lambda(lambda z: tf.reduce_mean(z[:, 1:], 1))(y)])


class TwoHeads(keras.Model):
    """A class token and one that learns from a teacher; their mean is the answer where nothing is trained."""

    def __init__(self):
        super().__init__()
        self.student, self.teacher, self.patches = L.Dense(3), L.Dense(3), L.Conv2D(6, 4, 4)

    def build(self, shape):
        self.tokens = self.add_weight(shape=(1, 2, 6), name="tokens")
        self.places = self.add_weight(shape=(1, 6, 6), name="places")

    def call(self, x, training=False):
        batch = tf.shape(x)[0]
        flat = tf.reshape(self.patches(x), (batch, -1, 6))
        y = tf.concat([tf.repeat(self.tokens, repeats=batch, axis=0), flat], 1) + self.places
        first, second = self.student(y[:, 0]), self.teacher(y[:, 1])
        return (first, second) if training else (first + second) / 2


@example()
def distilled_transformer():
    x = image(size=8)
    return keras.Model(x, TwoHeads()(x))


@example()
def unfolded_patches():
    """Attention among the pixels of the same place in patches, between convolutions."""
    x = image(size=8)
    y = L.Conv2D(6, 3, padding="same", activation=tf.nn.swish)(x)
    z = L.Lambda(lambda a: tf.reshape(a, (-1, 4, 16, 6)))(y)
    z = L.LayerNormalization()(z + L.MultiHeadAttention(2, 6)(z, z))
    z = L.Lambda(lambda a: tf.reshape(a, (-1, 8, 8, 6)))(z)
    return keras.Model(x, L.Conv2D(4, 3, padding="same")(L.Concatenate()([y, z])))
