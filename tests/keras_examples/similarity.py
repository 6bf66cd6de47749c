"""How near things are: frames of videos, metric learning, pairs and triplets, two views."""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import layers as L

from keras_examples.registry import example, image


class Stacked(keras.Model):
    """A network of videos: frames go through an image model as a batch, then a recurrence."""

    def __init__(self):
        super().__init__()
        self.frames = keras.Sequential([L.Conv2D(4, 3, activation="relu"), L.GlobalMaxPooling2D()])
        self.gru = L.GRU(5)

    def call(self, video):
        shape = tf.shape(video)
        flat = tf.reshape(video, tf.concat([[shape[0] * shape[1]], shape[2:4], [3]], axis=0))
        return self.gru(tf.reshape(self.frames(flat), [shape[0], shape[1], 4]))


@example(sizes=((3, 6, 5), (2, 5, 8)))
def frames_of_videos():
    x = keras.Input((None, None, None, 3))
    return keras.Model(x, Stacked()(x))


class Embedder(keras.Model):
    """Vectors on a sphere, and how near they are to those of the other rows of the batch."""

    def __init__(self):
        super().__init__()
        self.trunk = keras.Sequential(
            [L.Conv2D(4, 3, strides=2, activation="relu"), L.GlobalAveragePooling2D(), L.Dense(5)]
        )

    def call(self, x):
        code = tf.nn.l2_normalize(self.trunk(x), axis=-1)
        near = tf.einsum("ae,be->ab", code, code) / 0.2
        return tf.linalg.set_diag(near, tf.fill([tf.shape(x)[0]], -1e9)), code


@example(sizes=((6, 9), (7, 5)))
def metric_learning():
    x = image()
    return keras.Model(x, Embedder()(x))


class Triplets(L.Layer):
    def call(self, anchor, positive, negative):
        near = tf.reduce_sum(tf.square(anchor - positive), -1)
        far = tf.reduce_sum(tf.math.squared_difference(anchor, negative), -1)
        return tf.maximum(near - far + 0.5, 0.0), tf.stack((near, far), axis=1)


@example()
def siamese_triplets():
    images = [keras.Input((5, 5, 1), name=name) for name in ("anchor", "positive", "negative")]
    trunk = keras.Sequential([L.Flatten(), L.Dense(6, activation="tanh")])
    return keras.Model(images, Triplets()(*(trunk(x) for x in images)))


def distance(vectors):
    x, y = vectors
    total = tf.math.reduce_sum(tf.math.square(x - y), axis=1, keepdims=True)
    return tf.math.sqrt(tf.math.maximum(total, keras.config.epsilon()))


@example()
def siamese_pairs():
    first, second = keras.Input((6,)), keras.Input((6,))
    trunk = keras.Sequential([L.BatchNormalization(), L.Dense(4, activation="tanh")])
    merged = L.Lambda(distance, output_shape=(1,))([trunk(first), trunk(second)])
    return keras.Model([first, second], L.Dense(1, activation="sigmoid")(L.BatchNormalization()(merged)))


class BarlowTwins(L.Layer):
    """The cross correlation of two views, normalized over the batch."""

    def call(self, inputs):
        a, b = ((x - tf.reduce_mean(x, axis=0)) / tf.math.reduce_std(x, axis=0) for x in inputs)
        return tf.matmul(tf.transpose(a), b) / tf.cast(tf.shape(a)[0], tf.float32)


@example()
def cross_correlation():
    views = [keras.Input((6,)), keras.Input((6,))]
    project = L.Dense(4, use_bias=False)
    return keras.Model(views, BarlowTwins()([project(x) for x in views]))
