"""At most two Transposes in a block of each family of convolutional networks, and the same numbers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from test_each_pass import kinds, same_numbers

import dagir
from dagir import layers, ops
from dagir.passes import DEPLOY, run
from dagir.testing import assert_close
from dagir.testing.drawing import randomize

SAME = {"padding": "same"}


def normed(x, activation="relu"):
    return layers.Activation(activation)(layers.BatchNormalization()(x))


def residual(x):
    short = layers.BatchNormalization()(layers.Conv2D(8, 1, strides=2)(x))
    y = normed(layers.Conv2D(4, 1, strides=2)(x))
    y = normed(layers.Conv2D(4, 3, **SAME)(y))
    return layers.ReLU()(layers.Add()([short, layers.BatchNormalization()(layers.Conv2D(8, 1)(y))]))


def inception(x):
    branches = [
        normed(layers.Conv2D(4, 1)(x)),
        normed(layers.Conv2D(3, (1, 5), **SAME)(layers.Conv2D(2, 1)(x))),
        layers.Conv2D(2, 1)(layers.AveragePooling2D(3, strides=1, **SAME)(x)),
        layers.MaxPooling2D(3, strides=1, **SAME)(x),
    ]
    return layers.Conv2D(4, 3)(layers.Concatenate()(branches) * 0.3 + 1.0)


def dense_block(x):
    for _ in range(3):
        y = layers.Conv2D(4, 1, use_bias=False)(normed(x))
        x = layers.Concatenate()([x, layers.Conv2D(2, 3, use_bias=False, **SAME)(normed(y))])
    return layers.AveragePooling2D(2)(layers.Conv2D(4, 1)(normed(x)))


def squeeze_excite(x):
    x = layers.Rescaling(1 / 255)(x)
    y = normed(layers.Conv2D(6, 1)(layers.ZeroPadding2D(((0, 1), (0, 1)))(x)), "silu")
    y = normed(layers.DepthwiseConv2D(3, strides=2)(y), "silu")
    gate = layers.Reshape((1, 1, 6))(layers.GlobalAveragePooling2D()(y))
    gate = layers.Conv2D(6, 1, activation="sigmoid")(layers.Conv2D(2, 1, activation="silu")(gate))
    y = layers.Multiply()([y, gate])
    gate = layers.Dense(6, activation="sigmoid")(layers.GlobalMaxPooling2D()(y))
    return layers.Conv2D(4, 1)(layers.Multiply()([y, layers.Reshape((1, 1, 6))(gate)]))


def mobilenet_v3(x):
    y = layers.Activation("hard_silu")(layers.BatchNormalization()(layers.Conv2D(6, 3, strides=2, **SAME)(x)))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gate = layers.ReLU()(layers.Conv2D(2, 1)(gate))
    gate = layers.ReLU(6.0)(layers.Conv2D(6, 1)(gate) + 3.0) * (1.0 / 6.0)
    return layers.Conv2D(4, 1)(layers.Multiply()([y, gate]))


def convnext(x):
    x = layers.LayerNormalization(epsilon=1e-6)(layers.Conv2D(6, 2, strides=2)(x))
    for _ in range(2):
        y = layers.DepthwiseConv2D(3, **SAME)(x)
        y = layers.Dense(12, activation="gelu")(layers.LayerNormalization(epsilon=1e-6)(y))
        x = x + layers.Dense(6)(y) * np.arange(1, 7, dtype="float32")
    return layers.Conv2D(4, 2)(layers.LayerNormalization()(x))


def nasnet(x):
    x = layers.Conv2D(6, 1)(x)
    first = layers.Conv2D(2, 1)(layers.AveragePooling2D(1, strides=2)(x))
    shifted = layers.Cropping2D(((1, 0), (1, 0)))(layers.ZeroPadding2D(((0, 1), (0, 1)))(x))
    second = layers.Conv2D(2, 1)(layers.AveragePooling2D(1, strides=2)(shifted))
    y = layers.BatchNormalization()(layers.Concatenate()([first, second]))
    return layers.SeparableConv2D(4, 3, **SAME)(layers.ReLU()(y))


def unet(x):
    down = layers.Conv2D(4, 3, activation="elu", **SAME)(x)
    y = layers.Conv2D(6, 3, activation=layers.LeakyReLU(0.1), **SAME)(layers.MaxPooling2D(2)(down))
    y = layers.Conv2DTranspose(4, 2, strides=2)(y)
    y = layers.Concatenate()([y, down[:, :-1, :-1], layers.UpSampling2D(2)(layers.MaxPooling2D(2)(down))])
    return ops.softmax(layers.Conv2D(3, 1)(layers.GroupNormalization(3)(layers.PReLU()(layers.Conv2D(6, 1)(y)))), -1)


BLOCKS = [residual, inception, dense_block, squeeze_excite, mobilenet_v3, convnext, nasnet, unet]


def vector_of(x):
    return layers.Dense(5)(layers.GlobalAveragePooling2D()(x))


def flat(x):
    return layers.Dense(5)(layers.Flatten()(x))


@pytest.mark.parametrize("head", [None, vector_of, flat], ids=["image", "pooled", "flat"])
@pytest.mark.parametrize("block", BLOCKS, ids=[block.__name__ for block in BLOCKS])
def test_two_transposes_at_most(block, head):
    x = dagir.Input((9, 9, 3), name="x")
    y = block(x)
    model = dagir.Model(x, y if head is None else head(y))
    randomize(model, 5)
    after = run(model.graph, DEPLOY)
    dagir.check(after)
    assert kinds(after).count("Transpose") <= 2 - (head is vector_of), after
    same_numbers(model.graph, after)
    arrays = np.random.default_rng(0).normal(size=(3, 9, 9, 3)).astype("float32")
    executable = dagir.lower(model, "onnx")
    assert Counter(node.op_type for node in executable.artifact.graph.node)["Transpose"] <= 2
    assert_close(executable(arrays), dagir.lower(model, "numpy", precision="float64")(arrays), block.__name__)


def test_a_norm_of_channels_leaves_its_scale_to_the_convolution_after_it():
    x = dagir.Input((9, 9, 3), name="x")
    y = layers.Dense(4)(layers.LayerNormalization()(layers.Conv2D(6, 3)(x)))
    model = dagir.Model(x, layers.GlobalMaxPooling2D()(y))
    randomize(model, 1)
    assert kinds(run(model.graph, DEPLOY)) == ["Transpose", "Conv", "LayerNorm", "Conv", "ReduceMax"]


def test_without_a_convolution_nothing_moves():
    x = dagir.Input((9, 9, 3), name="x")
    y = layers.Dense(4)(layers.LayerNormalization()(layers.Dense(6)(x)))
    graph = dagir.Model(x, y).graph
    assert kinds(run(graph, DEPLOY, ["flat-products"])) == kinds(graph)
