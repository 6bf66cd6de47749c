"""Normalization layers against Keras's own with the same weights, on every backend."""

from __future__ import annotations

import inspect
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import layers, ops
from dagir.errors import ArgumentError, ShapeError
from dagir.ir.graph import Graph, Value
from dagir.ir.types import DType, TensorType
from dagir.testing import assert_close, assert_equivalent

ALL = ["BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization"]
BATCH_NORM = ["gamma", "beta", "moving_mean", "moving_variance"]


@st.composite
def arguments(draw, name, rank):
    kwargs = {}
    if name in ALL[:3]:
        kwargs.update(center=draw(st.booleans()), scale=draw(st.booleans()))
    if name != "UnitNormalization":
        # elements may lie close together, and float32 loses their difference where epsilon is as small as its square
        kwargs["epsilon"] = draw(st.sampled_from([1e-2, 0.03, 0.1]))
    axis = st.integers(1, rank - 1).flatmap(lambda axis: st.sampled_from([axis, axis - rank]))
    if name == "BatchNormalization":
        return {**kwargs, "axis": draw(axis), "renorm": draw(st.booleans())}
    if name == "GroupNormalization":
        return {**kwargs, "axis": draw(axis), "groups": draw(st.sampled_from([1, 2, -1]))}
    if name == "RMSNormalization":  # see test_scale_of_rms_normalization
        return {**kwargs, "axis": [-1] if draw(st.booleans()) else list(range(draw(st.integers(1, rank - 1)), rank))}
    several = st.lists(axis, min_size=1, max_size=rank - 1, unique_by=lambda axis: axis % rank)
    return {**kwargs, "axis": draw(st.one_of(axis, several))}


def randomize(layer, seed=0):
    """Nothing stays at 0 or 1."""
    rng = np.random.default_rng(seed)
    positive = ("variance", "stddev")
    layer.set_weights(
        [
            rng.uniform(0.3, 2.0, w.shape).astype("float32")
            if w.name.endswith(positive)
            else rng.uniform(-2, 2, w.shape).astype("float32")
            for w in layer.weights
        ]
    )


def model_of(layer, shape):
    x = dagir.Input(shape)
    model = dagir.Model(x, layer(x))
    randomize(layer)
    return model


def keras_output(name, kwargs, layer, x):
    judge = getattr(keras.layers, name)(**kwargs)
    judge.build(x.shape)
    assert [w.name for w in judge.weights] == [w.name.rsplit("/", 1)[-1] for w in layer.weights]
    judge.set_weights(layer.get_weights())
    return np.asarray(judge(x, training=False) if name == "BatchNormalization" else judge(x))


def op_types(model):
    return [node.op_type for node in dagir.lower(model, "onnx").artifact.graph.node]


@pytest.mark.parametrize("name", ALL)
def test_layer_agrees_with_keras(name):
    @given(st.data())
    def agrees(data):
        sizes = [2, 4, 6] if name == "GroupNormalization" else [2, 3, 5]  # groups divide them
        shape = data.draw(st.lists(st.sampled_from(sizes), min_size=1, max_size=4))
        kwargs = data.draw(arguments(name, len(shape) + 1))
        rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
        layer = getattr(layers, name)(**kwargs)
        model = model_of(layer, shape)
        x = rng.uniform(-3, 3, (data.draw(st.sampled_from([1, 3])), *shape)).astype("float32")
        want = keras_output(name, kwargs, layer, x)
        assert_close(want, dagir.lower(model, "numpy", precision="float64")(x), "Keras's own layer")
        assert_equivalent(model, [x])

    agrees()


@pytest.mark.parametrize("name", ALL)
def test_any_batch_and_time(name):
    kwargs = {"groups": 3} if name == "GroupNormalization" else {}
    model = model_of(getattr(layers, name)(**kwargs), ("time", 6))
    executables = [dagir.lower(model, "onnx"), dagir.lower(model, "keras")]
    for batch, time in ((1, 1), (3, 7), (2, 11)):
        x = np.random.default_rng(time).normal(size=(batch, time, 6)).astype("float32")
        want = dagir.lower(model, "numpy", precision="float64")(x)
        for executable in executables:
            assert_close(executable(x), want, f"{executable} at {batch}, {time}")


@pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`:UserWarning")
def test_rms_scaling_is_what_keras_computes():
    kwargs = {"axis": [1, 2], "rms_scaling": True}
    layer = layers.LayerNormalization(**kwargs)
    model = model_of(layer, (3, 5))
    assert len(layer.weights) == 1
    x = np.random.default_rng(0).normal(2, 1, (2, 3, 5)).astype("float32")
    oracle = dagir.lower(model, "numpy", precision="float64")(x)
    assert_close(keras_output("LayerNormalization", kwargs, layer, x), oracle, "Keras's own layer")
    assert_equivalent(model, [x])


def test_scale_of_rms_normalization_broadcasts_along_the_last_axes_as_in_keras():
    kwargs = {"axis": 1}
    layer = layers.RMSNormalization(**kwargs)
    model = model_of(layer, (3, 3))
    x = np.random.default_rng(0).normal(size=(2, 3, 3)).astype("float32")
    want = keras_output("RMSNormalization", kwargs, layer, x)
    assert_close(want, dagir.lower(model, "numpy", precision="float64")(x), "Keras's own layer")
    assert_equivalent(model, [x])
    with pytest.raises(ShapeError, match="do not broadcast"):
        layers.RMSNormalization(axis=1)(dagir.Input((2, 3)))


def test_the_native_op_is_used_where_onnx_has_it():
    assert op_types(model_of(layers.BatchNormalization(axis=1), (3, 5, 7))) == ["BatchNormalization"]
    assert op_types(model_of(layers.BatchNormalization(), (3, 5, 7))) == ["Mul", "Add"]
    assert op_types(model_of(layers.LayerNormalization(), (3, 5))) == ["LayerNormalization"]
    newest = dagir.lower(model_of(layers.RMSNormalization(), (3, 5)), "onnx", opset=23).artifact.graph.node
    assert [node.op_type for node in newest] == ["RMSNormalization"]
    assert op_types(model_of(layers.LayerNormalization(axis=[-2, -1], scale=False), (3, 5))) == ["LayerNormalization"]
    assert "LayerNormalization" not in op_types(model_of(layers.LayerNormalization(axis=1), (3, 5)))


def test_a_norm_that_stays_keeps_two_vectors():
    """gamma, beta, mean and variance of 40 channels become a scale and an offset; two norms share 0 and 1."""
    model = dagir.Sequential([layers.BatchNormalization(axis=1), layers.ReLU(), layers.BatchNormalization(axis=1)])
    model = dagir.Model(x := dagir.Input((40, 5)), model(x))
    randomize(model, 3)
    exe = dagir.lower(model, "onnx")
    assert [node.op_type for node in exe.artifact.graph.node] == ["BatchNormalization", "Relu", "BatchNormalization"]
    assert sum(np.prod(tensor.dims, dtype=int) >= 40 for tensor in exe.artifact.graph.initializer) == 2 + 2 * 2
    assert_equivalent(model, [np.random.default_rng(3).normal(size=(2, 40, 5)).astype("float32")])


@pytest.mark.parametrize("opset", [18, 24])
@pytest.mark.parametrize("name", ALL)
def test_oldest_and_newest_opset(name, opset):
    kwargs = {"GroupNormalization": {"groups": 3, "axis": 1}, "RMSNormalization": {}}.get(name, {"axis": 1})
    model = model_of(getattr(layers, name)(**kwargs), (3, 5))
    x = np.random.default_rng(1).normal(size=(2, 3, 5)).astype("float32")
    want = dagir.lower(model, "numpy", precision="float64")(x)
    assert_close(dagir.lower(model, "onnx", opset=opset)(x), want, f"opset {opset}")


def test_one_batch_norm_called_twice_and_half_precision():
    x = dagir.Input((4,))
    layer = layers.BatchNormalization()
    model = dagir.Model(x, [layer(x), layer(x * 2.0)])
    randomize(layer)
    assert_equivalent(model, [np.random.default_rng(0).normal(size=(3, 4)).astype("float32")])
    half = Value(TensorType(DType.FLOAT16, (2, 4)), name="x")
    array = np.random.default_rng(0).normal(size=(2, 4)).astype("float16")
    graph = Graph([half], [ops.layer_normalization(half), ops.batch_normalization(half, array[0], array[1] ** 2, -1)])
    assert_equivalent(graph, [array], ("numpy", "onnx"))


def test_weights_and_their_order():
    layer = layers.BatchNormalization()
    layer(dagir.Input((4,)))
    assert [w.name.rsplit("/", 1)[-1] for w in layer.weights] == BATCH_NORM
    assert len(layer.trainable_weights) == len(layer.non_trainable_weights) == 2


@pytest.mark.parametrize("name", ALL)
def test_signature_is_that_of_keras(name):
    ours = dict(inspect.signature(getattr(layers, name).__init__).parameters)
    ours.pop("rms_scaling", None)  # Keras takes it by keyword alone
    theirs = inspect.signature(getattr(keras.layers, name).__init__).parameters
    assert [(key, p.default) for key, p in ours.items()] == [(key, p.default) for key, p in theirs.items()]


@pytest.mark.parametrize("name", ALL)
def test_masks_pass_as_in_keras(name):
    x = layers.Embedding(9, 32, mask_zero=True)(dagir.Input(("time",), dtype="int32"))
    passed = getattr(layers, name)()(x).mask
    assert passed is (x.mask if getattr(keras.layers, name)().supports_masking else None)


def test_wrong_calls_are_refused():
    with pytest.raises(ArgumentError, match="one int for axis"):
        layers.BatchNormalization(axis=[1, 2])
    with pytest.raises(ArgumentError, match="epsilon of at least 0"):
        layers.LayerNormalization(epsilon=-1)
    with pytest.raises(ArgumentError, match="out of range"):
        layers.BatchNormalization(axis=3)(dagir.Input((4,)))
    layer = layers.BatchNormalization()
    layer(dagir.Input((4,)))
    with pytest.raises(ArgumentError, match="positive int or -1 for groups"):
        layers.GroupNormalization(0)
    with pytest.raises(ShapeError, match="does not split into 3 equal groups"):
        layers.GroupNormalization(3)(dagir.Input((4,)))
    with pytest.raises(ShapeError, match="axis 1 of x has size 5, gamma has 4"):
        layer(dagir.Input((5,)))
    with pytest.raises(ArgumentError, match="fixed size"):
        layers.LayerNormalization()(dagir.Input((None,)))
