"""Channels between linear maps are made equally large: the same model to the bit, and closer in codes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import layers, ops
from dagir.ir.graph import Graph
from dagir.passes import DEPLOY, run
from dagir.passes.equalize_channels import EqualizeChannels
from dagir.precision import quantizing
from dagir.precision.equalization import equalized
from dagir_numpy import evaluate


def conv(kind, filters):
    if kind == "depthwise":
        return layers.DepthwiseConv2D(3, padding="same")
    return layers.Conv2D(filters, 3, padding="same", groups=2 if kind == "grouped" else 1)


@st.composite
def networks(draw):
    """Linear maps with what lets factors of channels through between some of them, and samples."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    x = y = dagir.Input((6, 6, 4), name="x")
    for kind in draw(st.lists(st.sampled_from(["conv", "depthwise", "grouped"]), min_size=2, max_size=4)):
        y = conv(kind, 4)(y)
        for between in draw(
            st.lists(st.sampled_from(["relu", "leaky", "pool", "mean", "sigmoid", "skip"]), max_size=2)
        ):
            y = {
                "relu": layers.ReLU(),
                "leaky": layers.LeakyReLU(0.3),
                "pool": layers.MaxPooling2D(2, strides=1, padding="same"),
                "mean": layers.AveragePooling2D(2, strides=1, padding="same"),
                "sigmoid": layers.Activation("sigmoid"),
                "skip": lambda y: layers.Add()([y, x]),
            }[between](y)
    model = dagir.Model(x, layers.Dense(3)(layers.Dense(4)(y)))
    unequal(model, rng)
    return model, rng.normal(size=(8, 6, 6, 4)).astype("float32")


def unequal(model, rng):
    """Channels of very different sizes."""
    for weight in model.weights:
        channels = weight.shape[-1:] if weight.shape[-1] > 1 else (weight.shape[-2], 1)
        sizes = np.exp(rng.normal(0, 1.5, size=channels)) if len(weight.shape) > 1 else 1
        weight.assign(rng.normal(0, 0.3, size=weight.shape) * sizes)


@given(networks())
def test_the_numbers_in_float_stay_the_same_to_the_bit(drawn):
    model, samples = drawn
    graph = equalized(model.graph, [samples])
    if graph is None:
        return
    assert graph is not model.graph
    np.testing.assert_array_equal(evaluate(graph, [samples])[0], evaluate(model.graph, [samples])[0])


def weight(array, name="w"):
    array = np.asarray(array, "float32")
    return dagir.Parameter(name, dagir.TensorType(dagir.DType.FLOAT32, array.shape), array=array).value


def test_products_give_their_channels_other_sizes():
    x = dagir.Input((2,), name="x")

    def network(w, b, v):
        return dagir.apply(ops.Linear(), ops.relu(dagir.apply(ops.Linear(), x, weight(w), weight(b))), weight(v))

    w, b, v = np.ones((2, 3)), np.arange(3.0), np.ones((3, 4))
    before = Graph([x], [network(w, b, v)])
    scale = np.array([1.0, 4.0, 0.5])
    first, _, second = before.nodes
    step = EqualizeChannels({second: scale}, {first: 1 / scale})
    after = step(before)
    expected = Graph([x], [network(w / scale, b / scale, v * scale[:, None])])
    assert [node.op for node in after.nodes] == [node.op for node in expected.nodes]
    for node, other in zip(after.nodes, expected.nodes, strict=True):
        for found, wanted in zip(node.inputs[1:], other.inputs[1:], strict=True):
            np.testing.assert_array_equal(found.source.array, wanted.source.array)
    given = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")
    np.testing.assert_array_equal(evaluate(after, [given])[0], evaluate(before, [given])[0])


def between(activation):
    x = dagir.Input((12, 12, 3), name="x")
    y = layers.ReLU()(layers.Conv2D(16, 3, padding="same")(x))
    y = activation(layers.DepthwiseConv2D(3, padding="same")(y))
    y = layers.MaxPooling2D(2)(activation(layers.Conv2D(24, 1)(y)))
    model = dagir.Model(x, layers.Dense(8)(layers.Flatten()(layers.ReLU()(layers.Conv2D(16, 3)(y)))))
    unequal(model, np.random.default_rng(0))
    return model


def test_codes_are_closer(tmp_path):
    """Channels from 1 to 200 that the filters behind make equal again: one scale leaves nothing of the small ones."""
    rng = np.random.default_rng(1)
    x = dagir.Input((12, 12, 16), name="x")
    y = layers.ReLU()(layers.Conv2D(16, 3, padding="same")(x))
    y = layers.ReLU()(layers.DepthwiseConv2D(3, padding="same")(y))
    model = dagir.Model(x, layers.Flatten()(layers.Conv2D(16, 3)(layers.ReLU()(layers.Conv2D(16, 1)(y)))))
    gains = np.geomspace(1, 200, 16)
    for place, weight in enumerate(model.weights):
        factor = gains if place < 2 else 1 / gains[:, None] if place == 2 else 1
        weight.assign(rng.normal(0, 0.3, size=weight.shape) * factor)
    samples, others = rng.normal(size=(2, 64, 12, 12, 16)).astype("float32")
    wanted = model.predict(others)

    def error():
        path = dagir.to_onnx(model, tmp_path / "codes.onnx", quantize="int8", calibrate=samples)
        (found,) = dagir.lower(dagir.from_onnx(path), "onnx")(others).values()
        return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)

    equal = error()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantizing, "equalized", lambda graph, arrays: None)
        assert equal < 0.5 * error()


def test_what_is_not_homogeneous_stays_as_it_is():
    """A limit of 6 is none of 3: behind such limits only the pool's and the last pair are left."""
    model = between(layers.ReLU(6.0))
    samples = np.random.default_rng(1).normal(size=(8, 12, 12, 3)).astype("float32")
    graph = run(model.graph, DEPLOY)
    after = equalized(graph, [samples])
    assert kernels_that_differ(graph, after) == [0, 1]


def kernels_that_differ(before, after):
    kinds = (ops.Conv, ops.Linear)
    pairs = [
        [node.inputs[1].source.array for node in graph.nodes if isinstance(node.op, kinds)] for graph in (before, after)
    ]
    return [place for place, (one, other) in enumerate(zip(*pairs, strict=True)) if not np.array_equal(one, other)]
