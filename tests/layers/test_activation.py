"""Activation functions by every form of naming them, and activation layers, against Keras's own."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import at_three_sizes, check, floats, judge_of, randomize

import dagir
from dagir import layers, ops
from dagir.layers import activation as activations

NAMES = sorted(
    name
    for name in dir(keras.activations)
    if not name.startswith("_") and name not in ("deserialize", "get", "serialize", "threshold")
)
SHAPES = st.lists(st.sampled_from([1, 2, 3, 5]), min_size=0, max_size=2)
NUMBERS = st.sampled_from([0.0, 0.1, 1.0, 2.5])


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_keras(name):
    @given(SHAPES, st.sampled_from([1, 3]), st.sampled_from([2.0, 30.0]))
    def agrees(shape, batch, bound):
        layer = layers.Activation(name)
        x = floats((batch, *shape, 4), low=-bound, high=bound)
        if name == "sparsemax":  # Keras's own gives no probabilities: see tests/upstream
            a = dagir.Input(x.shape[1:])
            dense = layers.Dense(3, activation=name)
            model = dagir.Model(a, [layer(a), dense(a)])
            dagir.testing.assert_equivalent(model, [x])
        else:
            check(layer, [x], judge_of(layer))

    agrees()


@pytest.mark.parametrize("name", NAMES)
def test_every_form_of_a_name_is_one_function(name):
    by_name = activations.get(name)
    config = {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}
    assert activations.get(config) is by_name
    function = getattr(keras.activations, name)
    assert activations.get(function) is activations.get(function.__name__)
    x = dagir.Input((4,))
    model = dagir.Model(x, layers.Dense(6, activation=name)(x))
    if name != "sparsemax":
        assert dagir.to_keras(model).layers[-1].activation is function


ACTIVATION_LAYERS = [
    layers.ReLU(max_value=1.0, negative_slope=0.1),
    layers.LeakyReLU(0.2),
    layers.ELU(0.5),
    layers.Softmax(axis=1),
    layers.Activation("tanh"),
    layers.PReLU(),
]


@pytest.mark.parametrize("layer", ACTIVATION_LAYERS, ids=lambda layer: type(layer).__name__)
def test_layers_as_activations_of_others(layer):
    x = floats((3, 5, 4))
    for activation in (layer, keras.saving.serialize_keras_object(judge_of(layer))):
        dense = layers.Dense(3, activation=activation)
        a = dagir.Input((5, 4))
        model = dagir.Model(a, dense(a))
        randomize(dense)
        want = np.asarray(keras.ops.add(keras.ops.matmul(x, dense.kernel.array), dense.bias.array))
        judge = judge_of(layer)
        judge(want)
        judge.set_weights([weight.array for weight in model.weights[2:]])
        dagir.testing.assert_close(
            dagir.lower(model, "numpy")(x), np.asarray(judge(want)).astype("float64"), "Keras's own layer"
        )
        dagir.testing.assert_equivalent(model, [x])


def test_unknown_names_and_threshold():
    with pytest.raises(dagir.ArgumentError, match="did you mean relu"):
        layers.Dense(3, activation="rellu")
    with pytest.raises(dagir.ArgumentError, match="needs two numbers"):
        layers.Activation("threshold")
    with pytest.raises(dagir.ArgumentError, match="unknown activation 'Dense'"):
        layers.Activation({"class_name": "Dense", "config": {}})
    layer = layers.Activation(lambda x: ops.threshold(x, 0.5, -1.0))
    x = dagir.Input((4,))
    dagir.testing.assert_equivalent(dagir.Model(x, layer(x)), [floats((3, 4))])


@given(st.none() | NUMBERS, NUMBERS, NUMBERS, SHAPES)
def test_relu(max_value, negative_slope, threshold, shape):
    kwargs = {"max_value": max_value, "negative_slope": negative_slope, "threshold": threshold}
    layer = layers.ReLU(**kwargs)
    check(layer, [floats((3, *shape, 4), low=-4, high=4)], judge_of(layer, **kwargs))


@pytest.mark.parametrize("name", ["LeakyReLU", "ELU"])
def test_slopes(name):
    key = {"LeakyReLU": "negative_slope", "ELU": "alpha"}[name]

    @given(st.just({}) | NUMBERS.map(lambda number: {key: number}), SHAPES)
    def agrees(kwargs, shape):
        layer = getattr(layers, name)(**kwargs)
        check(layer, [floats((3, *shape, 4))], judge_of(layer, **kwargs))

    agrees()


@given(st.data())
def test_prelu(data):
    shape = data.draw(st.lists(st.sampled_from([1, 2, 3, 5]), min_size=1, max_size=3))
    axes = data.draw(st.none() | st.integers(1, len(shape)) | st.lists(st.integers(1, len(shape)), unique=True))
    layer = layers.PReLU(shared_axes=axes)
    check(layer, [floats((data.draw(st.sampled_from([1, 3])), *shape))], judge_of(layer, shared_axes=axes))


@given(st.data())
def test_softmax(data):
    draw = data.draw
    shape = draw(st.lists(st.sampled_from([1, 2, 3, 5]), min_size=1, max_size=3))
    several = st.lists(st.integers(1, len(shape)), min_size=1, unique=True)
    axis = draw(st.integers(1, len(shape)) | st.integers(-len(shape), -1) | several)
    layer = layers.Softmax(axis)
    xs = [floats((3, *shape))]
    if draw(st.booleans()):
        kept = [draw(st.sampled_from([1, size])) for size in shape]
        mask = np.random.default_rng(0).random((3, *kept)) < 0.5
        mask[0] = False
        xs.append(mask.astype(draw(st.sampled_from(["bool", "float32"]))))
    check(layer, xs, judge_of(layer, axis=axis), lambda layer, x, mask=None: layer(x, mask=mask))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Activation("gelu"), (None, 4)),
        (layers.ReLU(2.0, 0.1, 0.5), (None, 4)),
        (layers.LeakyReLU(), (None, 4)),
        (layers.ELU(), (None, 4)),
        (layers.PReLU(shared_axes=[1]), (None, 4)),
        (layers.Softmax([1, 2]), (None, 4)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_three_sizes(layer, shape):
    x, k_x, judge = dagir.Input(shape), keras.Input(shape), judge_of(layer)
    model, k_model = dagir.Model(x, layer(x)), keras.Model(k_x, judge(k_x))
    randomize(layer)
    judge.set_weights(layer.get_weights())
    at_three_sizes(model, k_model, lambda batch, time: floats((batch, time, 4)))


def test_wrong_calls_are_refused():
    with pytest.raises(dagir.ArgumentError, match="max_value >= 0"):
        layers.ReLU(max_value=-1.0)
    with pytest.raises(dagir.ArgumentError, match="shared_axes"):
        layers.PReLU(shared_axes=0)
    with pytest.raises(dagir.ArgumentError, match="shares axis 4"):
        layers.PReLU(shared_axes=4)(dagir.Input((3,)))
    with pytest.raises(dagir.ArgumentError, match="fixed size"):
        layers.PReLU()(dagir.Input((None, 3)))


@pytest.mark.parametrize("opset", [18, 20])
def test_gelu_is_native_from_opset_20(opset):
    x = dagir.Input((4,))
    model = dagir.Model(x, layers.Activation("gelu")(x))
    nodes = [node.op_type for node in dagir.lower(model, "onnx", opset=opset).artifact.graph.node]
    assert ("Gelu" in nodes) == (opset >= 20)
