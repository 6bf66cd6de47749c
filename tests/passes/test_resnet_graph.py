"""The ONNX graph of a residual network: nothing left to fold, transposes at the edges, the user's names."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import dagir
from dagir import layers
from dagir.testing import assert_close
from dagir.testing.drawing import randomize
from guide import toy_resnet


def normalized(image_out=False):
    """The toy network as residual networks are built today: a BatchNormalization after each convolution."""
    inputs = dagir.Input((32, 32, 3), name="picture")

    def block(x, filters, **options):
        x = layers.Conv2D(filters, 3, use_bias=False, **options)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    x = layers.MaxPooling2D(3)(block(block(inputs, 32), 64))
    for _ in range(2):
        x = layers.add([block(block(x, 64, padding="same"), 64, padding="same"), x])
    x = block(x, 64)
    if image_out:
        return dagir.Model(inputs, layers.Conv2DTranspose(3, 3, name="restored")(x))
    x = layers.Dense(256, activation="relu")(layers.GlobalAveragePooling2D()(x))
    return dagir.Model(inputs, layers.Dense(10, activation="softmax", name="label")(layers.Dropout(0.5)(x)))


NETWORKS = {
    "toy_resnet": (toy_resnet.model, "img", "classes", 1),
    "normalized": (normalized, "picture", "label", 1),
    "image_to_image": (lambda: normalized(image_out=True), "picture", "restored", 2),
}


@pytest.mark.parametrize("case", NETWORKS.values(), ids=NETWORKS.keys())
def test_graph(case):
    build, input_name, output_name, transposes = case
    model = build()
    randomize(model, 0)
    executable = dagir.lower(model, "onnx")
    graph = executable.artifact.graph
    counts = Counter(node.op_type for node in graph.node)
    assert counts["BatchNormalization"] == 0
    assert counts["Dropout"] == 0
    assert counts["Transpose"] == transposes
    assert graph.node[0].op_type == "Transpose"
    assert transposes == 1 or graph.node[-1].op_type == "Transpose"
    assert [value.name for value in graph.input] == [input_name]
    assert [value.name for value in graph.output] == [output_name]

    names = [tensor.name for tensor in graph.initializer]
    assert len(names) == len(set(names))
    kernels = [weight.name for weight in model.weights if weight.name.endswith("kernel")]
    assert [name for name in names if name.endswith("kernel")] == kernels
    large = [tensor for tensor in graph.initializer if np.prod(tensor.dims) >= 64 and len(tensor.dims) > 1]
    assert len(large) == len(kernels)

    x = np.random.default_rng(1).normal(size=(2, 32, 32, 3)).astype("float32")
    assert_close(executable(x), dagir.lower(model, "numpy", precision="float64")(x), output_name)


def test_every_node_says_which_layer_and_line_made_it():
    model = toy_resnet.model()
    graph = dagir.lower(model, "onnx").artifact.graph
    for node in graph.node:
        told = {entry.key: entry.value for entry in node.metadata_props}
        assert told["dagir.source"].startswith("toy_resnet.py:")
        assert model.get_layer(told["dagir.layer"]).name == told["dagir.layer"]


def test_a_weight_used_in_five_places_is_one_initializer():
    x = dagir.Input((4,), name="x")
    shared = layers.Dense(4, name="shared")
    y = x
    for _ in range(5):
        y = shared(y)
    graph = dagir.lower(dagir.Model(x, y), "onnx").artifact.graph
    assert sorted(tensor.name for tensor in graph.initializer) == ["shared/bias", "shared/kernel"]
