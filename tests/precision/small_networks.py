"""Small networks of several kinds, with random weights, and samples of their inputs."""

from __future__ import annotations

import numpy as np

import dagir
from dagir import layers
from dagir.testing.drawing import randomize


def _conv(x, filters, strides=1, activation=True):
    x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.ReLU()(x) if activation else x


def residual():
    image = layers.Input((8, 8, 1), name="image")
    x = _conv(image, 8)
    for filters, strides in ((8, 1), (16, 2)):
        y = _conv(_conv(x, filters, strides), filters, activation=False)
        skip = x if strides == 1 else layers.Conv2D(filters, 1, strides=2)(x)
        x = layers.ReLU()(layers.Add()([y, skip]))
    x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D(2)(x))
    return dagir.Model(image, layers.Dense(10, activation="softmax", name="classes")(x), name="residual")


def depthwise():
    image = layers.Input((8, 8, 1), name="image")
    x = layers.Conv2D(8, 3, padding="same")(image)
    for filters in (8, 16):
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
        x = layers.BatchNormalization()(layers.Conv2D(filters, 1)(x))
        x = layers.AveragePooling2D(2, padding="same")(x)
    return dagir.Model(image, layers.Dense(10, name="classes")(layers.Flatten()(x)), name="depthwise")


def recurrent():
    ids = layers.Input((9,), dtype="int32", name="ids")
    x = layers.LSTM(12, return_sequences=True)(layers.Embedding(30, 8)(ids))
    x = layers.Dense(8, activation="tanh")(layers.GRU(10)(x))
    return dagir.Model(ids, layers.Dense(5, activation="softmax", name="classes")(x), name="recurrent")


def transformer():
    ids = layers.Input((7,), dtype="int32", name="ids")
    x = layers.Embedding(30, 16)(ids)
    for _ in range(2):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(2, 8)(y, y)])
        y = layers.Dense(32, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(16)(y)])
    x = layers.GlobalAveragePooling1D()(x)
    return dagir.Model(ids, layers.Dense(5, activation="softmax", name="classes")(x), name="transformer")


NETWORKS = (residual, depthwise, recurrent, transformer)


def with_samples(make, count=16, seed=0):
    """A network, and an array for its input."""
    model = make()
    randomize(model, seed)
    for weight in model.weights:
        if len(weight.shape) > 1:  # of the size that training keeps
            weight.assign(weight.array * 2 / np.sqrt(np.prod(weight.shape[:-1])))
    rng = np.random.default_rng(seed)
    ((_, type),) = model.signature.inputs
    shape = (count, *type.shape[1:])
    drawn = rng.standard_normal(shape) if type.dtype.is_float else rng.integers(0, 30, shape)
    return model, drawn.astype(type.dtype.numpy)
