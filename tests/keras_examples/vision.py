"""Recognition with convolutions: kernels made by layers, points, capsules, sets of patches, segmentation."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L

from keras_examples.registry import example, image


class Involution(L.Layer):
    """A kernel for each pixel, made from the pixel."""

    def __init__(self, groups, side, stride):
        super().__init__()
        self.groups, self.side, self.stride = groups, side, stride

    def build(self, shape):
        _, height, width, channels = shape
        self.pool = L.AveragePooling2D(self.stride, self.stride, "same") if self.stride > 1 else tf.identity
        self.kernels = keras.Sequential(
            [L.Conv2D(2, 1), L.BatchNormalization(), L.ReLU(), L.Conv2D(self.side**2 * self.groups, 1)]
        )
        height, width = -(-height // self.stride), -(-width // self.stride)
        self.to_kernels = L.Reshape((height, width, self.side**2, 1, self.groups))
        self.to_patches = L.Reshape((height, width, self.side**2, channels // self.groups, self.groups))
        self.back = L.Reshape((height, width, channels))

    def call(self, x):
        kernel = self.to_kernels(self.kernels(self.pool(x)))
        sizes, strides = [1, self.side, self.side, 1], [1, self.stride, self.stride, 1]
        patches = tf.image.extract_patches(images=x, sizes=sizes, strides=strides, rates=[1, 1, 1, 1], padding="SAME")
        return self.back(tf.reduce_sum(tf.multiply(kernel, self.to_patches(patches)), axis=3)), kernel


@example()
def involution():
    x = image(4, size=6)
    y, _ = Involution(2, 3, 1)(x)
    y, kernel = Involution(1, 3, 2)(L.ReLU()(y))
    return keras.Model(x, [L.Dense(3)(L.Flatten()(y)), kernel])


class PlainMixer(L.Layer):
    def __init__(self, width):
        super().__init__()
        self.wide, self.narrow = L.DepthwiseConv2D(3, padding="same"), L.Conv2D(width, 1)
        self.first, self.second = L.BatchNormalization(), L.BatchNormalization()

    def call(self, x):
        x = self.first(tf.nn.gelu(self.wide(x), approximate=True)) + x
        return self.second(tf.nn.gelu(self.narrow(x)))


@example(sizes=((8, 12), (5, 7)))
def convolution_mixer():
    x = image()
    y = L.Lambda(lambda z: tf.cast(z, tf.float32) / 255.0)(x)
    return keras.Model(x, L.GlobalAveragePooling2D()(PlainMixer(4)(L.Conv2D(4, 2, 2)(y))))


class StandardizedConv(L.Conv2D):
    """A convolution whose kernel is standardized at each call."""

    def call(self, x):
        mean, variance = tf.nn.moments(self.kernel, axes=[0, 1, 2], keepdims=True)
        kernel = (self.kernel - mean) / tf.sqrt(variance + 1e-5)
        return tf.nn.bias_add(tf.nn.conv2d(x, kernel, strides=[1, 1, 1, 1], padding="SAME"), self.bias)


class GroupNorm(L.Layer):
    def __init__(self, groups):
        super().__init__()
        self.groups = groups

    def build(self, shape):
        self.scale = self.add_weight(shape=(1, 1, 1, shape[-1]), initializer="ones", name="scale")
        self.shift = self.add_weight(shape=(1, 1, 1, shape[-1]), initializer="zeros", name="shift")

    def call(self, x):
        count, height, width, channels = tf.unstack(tf.shape(x))
        y = tf.reshape(x, [count, height, width, self.groups, channels // self.groups])
        mean, variance = tf.nn.moments(y, [1, 2, 4], keepdims=True)
        y = tf.reshape((y - mean) * tf.math.rsqrt(variance + 1e-3), tf.shape(x))
        return y * self.scale + self.shift


@example(sizes=((6, 9), (7, 5)))
def standardized_kernels():
    x = image()
    y = GroupNorm(2)(StandardizedConv(6, 3)(x))
    return keras.Model(x, L.Lambda(lambda z: tf.reduce_max(tf.nn.relu(z), axis=[1, 2]))(y))


class SpectralConv(L.Layer):
    """A convolution with its kernel divided by its spectral norm, by one step of power iteration."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], 4), name="kernel")
        self.u = self.add_weight(shape=(1, 4), trainable=False, name="u")

    def call(self, x, training=False):
        flat = tf.reshape(self.kernel, [-1, self.kernel.shape[-1]])
        v = tf.math.l2_normalize(tf.matmul(self.u, flat, transpose_b=True))
        u = tf.math.l2_normalize(tf.matmul(v, flat))
        if training:
            self.u.assign(u)
        norm = tf.matmul(tf.matmul(v, flat), u, transpose_b=True)
        return tf.nn.conv2d(x, self.kernel / norm[0, 0], 1, "VALID")


@example(sizes=((6, 9), (7, 5)))
def spectral_norm():
    x = image()
    return keras.Model(x, SpectralConv()(x))


def squash(x):
    norm = tf.reduce_sum(tf.square(x), axis=-1, keepdims=True)
    return norm / (1 + norm) * x / tf.sqrt(norm + keras.config.epsilon())


class Capsules(L.Layer):
    """Votes of capsules, routed by agreement in three rounds."""

    def __init__(self, capsules, width, rounds=3):
        super().__init__()
        self.capsules, self.width, self.rounds = capsules, width, rounds

    def build(self, shape):
        self.w = self.add_weight(shape=(1, shape[1], self.capsules, self.width, shape[2]), name="w")

    def call(self, x):
        tiled = tf.tile(x[:, :, None, :, None], [1, 1, self.capsules, 1, 1])
        votes = tf.squeeze(tf.matmul(self.w, tiled), [4])
        logits = tf.zeros(tf.shape(votes)[:-1])
        for turn in range(self.rounds):
            shares = tf.nn.softmax(logits, axis=2)
            out = squash(tf.einsum("bij,bijk->bjk", shares, votes))
            if turn < self.rounds - 1:
                logits += tf.reduce_sum(votes * out[:, None], axis=-1)
        return out


@example()
def capsules():
    x = keras.Input((6, 4))
    y = Capsules(3, 5)(L.Lambda(squash)(x))
    return keras.Model(x, L.Lambda(lambda z: tf.norm(z, axis=-1))(y))


class PointTransform(L.Layer):
    """A matrix that a small network makes of the points turns them."""

    def __init__(self, width):
        super().__init__()
        self.width, self.features = width, keras.Sequential([L.Conv1D(8, 1), L.BatchNormalization(), L.ReLU()])
        bias = keras.initializers.Constant(np.eye(width).flatten())
        self.dense = L.Dense(width * width, kernel_initializer="zeros", bias_initializer=bias)

    def call(self, points):
        code = self.dense(tf.reduce_max(self.features(points), axis=1))
        return tf.linalg.matmul(points, tf.reshape(code, (-1, self.width, self.width)))


@example()
def point_clouds():
    x = keras.Input((None, 3))
    y = L.Conv1D(8, 1, activation=tf.nn.relu)(PointTransform(3)(x))
    y = PointTransform(8)(y)
    wide = L.Lambda(
        lambda z: tf.concat([z[0], tf.repeat(tf.reduce_max(z[0], 1, keepdims=True), tf.shape(z[1])[1], axis=1)], -1)
    )
    return keras.Model(x, L.Conv1D(4, 1, activation="softmax")(wide([y, x])))


class BagAttention(L.Layer):
    """Gated attention over the instances of a bag, which are inputs of their own."""

    def __init__(self, width):
        super().__init__()
        self.width = width

    def build(self, shapes):
        self.v = self.add_weight(shape=(shapes[0][-1], self.width), name="v")
        self.u = self.add_weight(shape=(shapes[0][-1], self.width), name="u")
        self.w = self.add_weight(shape=(self.width, 1), name="w")

    def score(self, x):
        gate = tf.math.sigmoid(tf.tensordot(x, self.u, axes=1))
        return tf.tensordot(tf.math.tanh(tf.tensordot(x, self.v, axes=1)) * gate, self.w, axes=1)

    def call(self, bags):
        weights = tf.math.softmax([self.score(bag) for bag in bags], axis=0)
        return [weights[place] for place in range(weights.shape[0])]


@example()
def bags_of_instances():
    bags = [keras.Input((5,), name=f"bag_{place}") for place in range(3)]
    dense = L.Dense(6, activation="relu")
    weights = BagAttention(4)([dense(bag) for bag in bags])
    weighed = [L.multiply([weight, dense(bag)]) for weight, bag in zip(weights, bags, strict=True)]
    return keras.Model(bags, L.Dense(2, activation="softmax")(L.concatenate(weighed)))


class LearnedResizer(L.Layer):
    def __init__(self, size):
        super().__init__()
        self.size, self.conv, self.last = size, L.Conv2D(4, 3, padding="same"), L.Conv2D(3, 3, padding="same")

    def call(self, x):
        plain = tf.image.resize(x, self.size, method="bilinear")
        y = tf.image.resize(tf.nn.leaky_relu(self.conv(x), alpha=0.2), self.size)
        return self.last(y) + plain


@example(sizes=((6, 9), (11, 5)))
def learned_resizer():
    x = image()
    return keras.Model(x, LearnedResizer([7, 8])(x))


class Sampler(L.Layer):
    """A spatial transformer: a grid of places by an affine map, and the image between its pixels."""

    def __init__(self, size):
        super().__init__()
        self.size, self.locate = size, L.Dense(6)

    def pixels(self, images, rows, columns):
        count, height, width = tf.shape(rows)[0], tf.shape(rows)[1], tf.shape(rows)[2]
        batch = tf.tile(tf.reshape(tf.range(0, count), (count, 1, 1)), (1, height, width))
        return tf.gather_nd(images, tf.stack([batch, rows, columns], 3))

    def call(self, x):
        height, width = self.size
        theta = tf.reshape(self.locate(tf.reduce_mean(x, [1, 2])), (-1, 2, 3))
        across, down = tf.meshgrid(tf.linspace(-1.0, 1.0, width), tf.linspace(-1.0, 1.0, height))
        grid = tf.stack([tf.reshape(across, [-1]), tf.reshape(down, [-1]), tf.ones(height * width)])
        moved = tf.matmul(theta, tf.tile(grid[tf.newaxis], [tf.shape(x)[0], 1, 1]))
        moved = tf.reshape(moved, [tf.shape(x)[0], 2, height, width])
        bottom, right = tf.shape(x)[1] - 1, tf.shape(x)[2] - 1
        columns = 0.5 * (moved[:, 0] + 1.0) * tf.cast(right - 1, "float32")
        rows = 0.5 * (moved[:, 1] + 1.0) * tf.cast(bottom - 1, "float32")
        left, top = tf.cast(tf.floor(columns), "int32"), tf.cast(tf.floor(rows), "int32")
        corners = []
        for r in (tf.clip_by_value(row, 0, bottom) for row in (top, top + 1)):
            for c in [tf.clip_by_value(column, 0, right) for column in (left, left + 1)]:
                near = (1 - tf.abs(rows - tf.cast(r, tf.float32))) * (1 - tf.abs(columns - tf.cast(c, tf.float32)))
                corners.append(tf.expand_dims(near, axis=3) * self.pixels(x, r, c))
        return tf.add_n(corners)


@example(sizes=((6, 9), (11, 5)))
def spatial_transformer():
    x = image(2)
    return keras.Model(x, Sampler((4, 5))(x))


class Pyramid(L.Layer):
    """Dilated convolutions next to each other, and the mean of the image, which is stretched again."""

    def __init__(self, width):
        super().__init__()
        self.pooled, self.last = L.Conv2D(width, 1), L.Conv2D(width, 1, padding="same")
        self.dilated = [L.Conv2D(width, 3, dilation_rate=rate, padding="same") for rate in (1, 2, 3)]

    def call(self, x):
        size = tf.shape(x)
        mean = self.pooled(tf.reduce_mean(x, axis=[1, 2], keepdims=True))
        mean = tf.image.resize(mean, (size[1], size[2]))
        return tf.nn.relu(self.last(tf.concat([mean, *(conv(x) for conv in self.dilated)], axis=-1)))


@example(sizes=((8, 12), (4, 20)))
def dilated_pyramid():
    x = image()
    low = L.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    y = L.Conv2D(4, 3, strides=2, padding="same", activation="relu")(low)
    y = Pyramid(4)(y)
    y = L.Lambda(lambda z: tf.concat([tf.image.resize(z[0], tf.shape(z[1])[1:3], method="bilinear"), z[1]], -1))(
        [y, low]
    )
    y = L.Conv2D(2, 3, padding="same")(y)
    top = L.Lambda(lambda z: tf.argmax(tf.image.resize(z[0], tf.shape(z[1])[1:-1], "nearest"), axis=-1))
    return keras.Model(x, top([y, x]))


@example(sizes=((8, 12), (4, 20)))
def unet():
    x = image()
    first = L.Conv2D(4, 3, padding="same", activation=tf.nn.relu6)(x)
    deep = L.Conv2D(4, 3, padding="same", activation=tf.nn.elu)(
        L.Lambda(lambda z: tf.nn.max_pool2d(z, 2, 2, "SAME"))(first)
    )
    up = L.Lambda(lambda z: tf.repeat(tf.repeat(z, 2, axis=1), 2, axis=2))(deep)
    return keras.Model(x, L.Conv2D(2, 1)(L.Lambda(lambda z: tf.concat(z, axis=3))([up, first])))


class ReducedAttention(L.Layer):
    """Attention of pixels to a smaller map, as efficient transformers for segmentation have it."""

    def __init__(self, width):
        super().__init__()
        self.q, self.kv, self.reduce, self.width = L.Dense(width), L.Dense(2 * width), L.Conv2D(width, 2, 2), width

    def call(self, x):
        shape = tf.shape(x)
        small = tf.reshape(self.reduce(x), [shape[0], -1, self.width])
        keys, values = tf.split(self.kv(small), 2, axis=-1)
        queries = tf.reshape(self.q(x), [shape[0], shape[1] * shape[2], self.width])
        scores = tf.einsum("bqd,bkd->bqk", queries, keys) * self.width**-0.5
        return tf.reshape(tf.nn.softmax(scores) @ values, [shape[0], shape[1], shape[2], self.width])


@example(sizes=((4, 6), (7, 9)))
def reduced_attention():
    x = image(4)
    return keras.Model(x, ReducedAttention(4)(x))
