"""keep_layers: the file names the layers, and whoever reads it gets them, but only where they are what the file is."""

from __future__ import annotations

import json

import keras
import numpy as np
import onnx
import pytest
from keras import layers as L
from onnx import numpy_helper

import dagir
from dagir import layers, ops
from dagir.errors import ArgumentError, DeclarationWarning


def image_network():
    """Layers that are several nodes, none, the same one twice, or arithmetic on constants."""
    x = keras.Input((12, 12, 3), name="x")
    y = L.Rescaling(1 / 255)(x)
    y = L.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(y)
    y = L.SeparableConv2D(8, 3, padding="same", depth_multiplier=2, activation="relu")(y)
    y = L.BatchNormalization(momentum=0.8)(L.Conv2D(8, 1)(L.DepthwiseConv2D(3, padding="same", use_bias=False)(y)))
    y = L.Add()([L.ReLU()(y), L.Activation("relu")(y)])
    y = L.MaxPooling2D(1, strides=2)(L.Cropping2D(((0, 2), (2, 0)))(L.ZeroPadding2D(1)(y)))
    gate = L.Conv2D(8, 1, activation="sigmoid")(L.Reshape((1, 1, 8))(L.GlobalAveragePooling2D()(y)))
    y = L.Dropout(0.3)(L.GlobalMaxPooling2D()(L.Multiply()([y, gate])))
    return keras.Model(x, L.Dense(3, activation="softmax")(y) + 0.5, name="net")


def text_network():
    words = keras.Input((7,), dtype="int32", name="words")
    y = L.Bidirectional(L.LSTM(5, return_sequences=True))(L.Embedding(11, 4)(words))
    y = L.GRU(6)(L.LayerNormalization()(y))
    inner = keras.Sequential([L.Dense(4, activation="gelu"), L.Dropout(0.1), L.Dense(2)], name="head")
    return keras.Model({"words": words}, {"scores": inner(y)}, name="text")


def randomized(model):
    rng = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(rng.uniform(0.2, 0.9, variable.shape))
    return model


def types(model):
    return [(type(layer).__name__, layer.name) for layer in model._flatten_layers(include_self=False)]


def numbers_of(proto):
    return {each.name: numpy_helper.to_array(each) for each in proto.graph.initializer}


@pytest.mark.parametrize("make", [image_network, text_network])
@pytest.mark.parametrize("opset", [13, 21])
def test_every_layer_and_every_number_comes_back(make, opset, tmp_path):
    model = randomized(make())
    read = dagir.from_keras(model)
    file = dagir.to_onnx(read, tmp_path / "net.onnx", keep_layers=True, opset=opset)
    again = dagir.to_keras(dagir.from_onnx(file))
    assert types(again) == types(dagir.to_keras(read))
    assert [type(layer).__name__ for layer in again.layers[:-1]] == [type(each).__name__ for each in model.layers[:-1]]
    assert [each.trainable for each in again.weights] == [each.trainable for each in model.weights]
    for found, expected in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_file_computes_what_the_network_does(tmp_path):
    read = dagir.from_keras(randomized(image_network()))
    file = dagir.to_onnx(read, tmp_path / "net.onnx", keep_layers=True, verify=True)
    assert dagir.verify(read, file).ok
    assert dagir.verified(file).ok
    again = dagir.to_onnx(dagir.from_onnx(file), keep_layers=True)
    assert [node.name for node in again.graph.node] == [node.name for node in onnx.load(file).graph.node]


def test_weights_beside_the_file_come_back_too(tmp_path):
    read = dagir.from_keras(randomized(image_network()))
    file = dagir.to_onnx(read, tmp_path / "net.onnx", keep_layers=True, external_data=True)
    again = dagir.from_onnx(file)
    assert [layer.name for layer in again.layers] == [layer.name for layer in read.layers]


def test_without_the_option_no_layer_is_named():
    proto = dagir.to_onnx(dagir.from_keras(image_network()))
    assert "dagir.layers" not in {each.key for each in proto.metadata_props}


def _scale(proto, rng):
    for tensor in proto.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32 and array.size > 1:
            tensor.CopyFrom(numpy_helper.from_array(array * np.float32(1.5), tensor.name))


def _other_op(proto, rng):
    next(node for node in proto.graph.node if node.op_type == "Relu").op_type = "Tanh"


def _other_attribute(proto, rng):
    node = next(node for node in proto.graph.node if node.op_type == "BatchNormalization")
    next(each for each in node.attribute if each.name == "epsilon").f = 0.25


def _other_configuration(proto, rng):
    entry = next(each for each in proto.metadata_props if each.key == "dagir.layers")
    entry.value = entry.value.replace("relu", "tanh")


def _more_units(proto, rng):
    entry = next(each for each in proto.metadata_props if each.key == "dagir.layers")
    entry.value = entry.value.replace('"units":3', '"units":3000000000000')


def _damaged(proto, rng):
    entry = next(each for each in proto.metadata_props if each.key == "dagir.layers")
    entry.value = entry.value[: rng.integers(1, len(entry.value))]


def _other_data(proto, rng):
    entry = next(each for each in proto.metadata_props if each.key == "dagir.layers")
    held = json.loads(entry.value)
    held[["architecture", "weights"][rng.integers(2)]] = [None, {}, [], 1, "x", {"layers": 3}][rng.integers(6)]
    entry.value = json.dumps(held)


CHANGES = [_other_op, _other_attribute, _other_configuration, _more_units, _damaged, _other_data]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("seed", range(3))
def test_a_file_that_is_another_one_by_now_is_read_node_by_node(change, seed):
    proto = dagir.to_onnx(dagir.from_keras(randomized(image_network())), keep_layers=True)
    change(proto, np.random.default_rng(seed))
    x = np.random.default_rng(1).uniform(0, 255, (2, 12, 12, 3)).astype("float32")
    with pytest.warns(DeclarationWarning, match="read node by node"):
        read = dagir.from_onnx(proto)
    bare = onnx.ModelProto()
    bare.CopyFrom(proto)
    del bare.metadata_props[:]
    found, expected = (dagir.lower(each)(x) for each in (read, dagir.from_onnx(bare)))
    np.testing.assert_array_equal(*(next(iter(each.values())) for each in (found, expected)))


def test_weights_that_were_trained_since_are_those_of_the_file():
    """Other numbers in the initializers are no change of the layers."""
    proto = dagir.to_onnx(dagir.from_keras(randomized(text_network())), keep_layers=True)
    _scale(proto, None)
    expected = numbers_of(proto)
    again = dagir.from_onnx(proto)
    found = numbers_of(dagir.to_onnx(again, keep_layers=True))
    assert {type(layer).__name__ for layer in again.layers} >= {"Bidirectional", "GRU", "Sequential"}
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


class Doubled(layers.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")

    def call(self, x):
        return ops.multiply(ops.multiply(x, self.scale), 2.0)


def test_layers_of_ones_own_are_made_by_their_classes():
    x = dagir.Input((3,), name="x")
    proto = dagir.to_onnx(dagir.Model(x, Doubled(name="mine")(x)), keep_layers=True)
    again = dagir.from_onnx(proto, custom_objects={"Doubled": Doubled})
    assert isinstance(again.layers[-1], Doubled)
    with pytest.warns(DeclarationWarning, match="read node by node"):
        dagir.from_onnx(proto)


def test_loose_operations_keep_their_names():
    x = dagir.Input((3,), name="x")
    y = ops.add(layers.Dense(3, name="first")(x), x)
    model = dagir.Model(x, layers.Dense(2, name="last")(ops.add(ops.tanh(y), y)))
    again = dagir.from_onnx(dagir.to_onnx(model, keep_layers=True))
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]


def test_what_cannot_be_kept_is_refused():
    x = dagir.Input((3,), name="x")
    function = dagir.Model(x, layers.Lambda(lambda x: x * 2)(x))
    with pytest.raises(ArgumentError):
        dagir.to_onnx(function, keep_layers=True)
    with pytest.raises(ArgumentError, match="bare graph"):
        dagir.to_onnx(dagir.Model(x, layers.Dense(2)(x)).graph, keep_layers=True)
    with pytest.raises(ArgumentError, match="full precision"):
        dagir.to_onnx(dagir.Model(x, layers.Dense(2)(x)), keep_layers=True, precision="float16")
