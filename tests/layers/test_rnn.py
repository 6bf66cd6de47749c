"""Recurrent layers and their masks against Keras's own layers with the same weights, on every backend."""

from __future__ import annotations

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
from dagir.errors import ArgumentError, DTypeError, FeedError, ShapeError
from dagir.ir.nest import flatten
from dagir.testing import assert_close, assert_equivalent
from dagir.testing.rnn import NATIVE_ACTIVATIONS, masks

ALL = ["LSTM", "GRU", "SimpleRNN"]
NATIVE = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "RNN"}
STATES = {"LSTM": 2, "GRU": 1, "SimpleRNN": 1}
SIZES = [(1, 1), (3, 5), (2, 11)]  # batch and time


@st.composite
def arguments(draw, name):
    flags = ["return_sequences", "return_state", "go_backwards", "use_bias", "zero_output_for_mask"]
    flags += {"LSTM": ["unit_forget_bias"], "GRU": ["reset_after"], "SimpleRNN": []}[name]
    kwargs = {flag: draw(st.booleans()) for flag in flags}
    kwargs["units"] = draw(st.integers(1, 5))
    kwargs["activation"] = draw(st.sampled_from(["tanh", None, *NATIVE_ACTIVATIONS]))
    if name != "SimpleRNN":
        kwargs["recurrent_activation"] = draw(st.sampled_from(["sigmoid", "sigmoid", "hard_sigmoid"]))
    return {**kwargs, "dropout": 0.3, "recurrent_dropout": draw(st.sampled_from([0.0, 0.2]))}


def randomize(layer, seed=0):
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.uniform(-0.7, 0.7, weight.shape).astype("float32") for weight in layer.weights])


def model_of(layer, width, mask=False, states=False):
    """A model of one layer with drawn weights, over a batch and a time of any size."""
    x = dagir.Input(("time", width), name="x")
    inputs, more = [x], {}
    if mask:
        inputs.append(dagir.Input(("time",), dtype="bool", name="mask"))
        more["mask"] = inputs[-1]
    if states:
        more["initial_state"] = [dagir.Input((layer.units,), name=f"s{i}") for i in range(STATES[type(layer).__name__])]
        inputs.extend(more["initial_state"])
    model = dagir.Model(inputs, layer(x, **more))
    randomize(layer)
    return model


def keras_outputs(name, kwargs, layer, x, **more):
    judge = getattr(keras.layers, name)(**kwargs)
    judge.build(x.shape)
    assert [w.name for w in judge.weights] == [w.name.rsplit("/", 1)[-1] for w in layer.weights]
    judge.set_weights(layer.get_weights())
    return [np.asarray(output) for output in keras.tree.flatten(judge(x, **more))]


def op_types(model):
    return [node.op_type for node in dagir.lower(model, "onnx").artifact.graph.node]


@pytest.mark.parametrize("name", ALL)
def test_layer_agrees_with_keras(name):
    @given(st.data())
    def agrees(data):
        kwargs = data.draw(arguments(name))
        batch, steps = data.draw(st.sampled_from(SIZES))
        masked, stated = data.draw(st.booleans()), data.draw(st.booleans())
        rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
        layer = getattr(layers, name)(**kwargs)
        model = model_of(layer, 3, masked, stated)
        x = rng.uniform(-2, 2, (batch, steps, 3)).astype("float32")
        more = {"mask": data.draw(masks(batch, steps))} if masked else {}
        states = [rng.uniform(-1, 1, (batch, layer.units)).astype("float32") for _ in range(STATES[name])]
        if stated:
            more["initial_state"] = states
        feeds = [x, *([more["mask"]] if masked else []), *(states if stated else [])]
        want = keras_outputs(name, kwargs, layer, x, **more)
        oracle = flatten(dagir.lower(model, "numpy", precision="float64")(feeds))
        for place, (expected, found) in enumerate(zip(want, oracle, strict=True)):
            assert_close(expected, found, f"Keras's own layer, output {place}")
        assert_equivalent(model, feeds)

    agrees()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("masked", [False, True])
def test_one_graph_of_a_native_op_serves_every_size(name, masked):
    layer = getattr(layers, name)(4, return_sequences=True, return_state=True)
    model = model_of(layer, 3, masked)
    executables = [dagir.lower(model, "onnx"), dagir.lower(model, "keras")]
    rng = np.random.default_rng(0)
    for batch, steps in SIZES:
        feeds = [rng.normal(size=(batch, steps, 3)).astype("float32")]
        feeds += [rng.random((batch, steps)) < 0.5] if masked else []
        oracle = flatten(dagir.lower(model, "numpy", precision="float64")(feeds))
        for executable in executables:
            for found, want in zip(flatten(executable(feeds)), oracle, strict=True):
                assert_close(found, want, f"{executable} at {batch}, {steps}")
    found = op_types(model)
    assert found.count(NATIVE[name]) == 1
    assert not {"Loop", "Scan", "If"} & set(found)


@pytest.mark.parametrize("name", ALL)
def test_a_weight_is_one_initializer_and_nothing_is_written_that_nobody_reads(name):
    layer = getattr(layers, name)(4)
    graph = dagir.lower(model_of(layer, 3), "onnx").artifact.graph
    assert [node.op_type for node in graph.node] == ["Transpose", NATIVE[name], "Squeeze"]
    names = [
        initializer.name
        for initializer in graph.initializer
        if "kernel" in initializer.name or "bias" in initializer.name
    ]
    assert sorted(names) == sorted(weight.name for weight in layer.weights)


@pytest.mark.parametrize("opset", [18, 24])
def test_masked_lstm_at_the_oldest_and_newest_opset(opset):
    model = model_of(layers.LSTM(4, return_sequences=True, go_backwards=True), 3, mask=True)
    rng = np.random.default_rng(1)
    feeds = [rng.normal(size=(3, 5, 3)).astype("float32"), rng.random((3, 5)) < 0.6]
    want = dagir.lower(model, "numpy", precision="float64")(feeds)
    assert_close(dagir.lower(model, "onnx", opset=opset)(feeds), want, f"opset {opset}")


def text_model(name, **kwargs):
    ids = dagir.Input(("time",), dtype="int32", name="ids")
    x = layers.Embedding(9, 4, mask_zero=True)(ids)
    x = layers.Dropout(0.5)(layers.Dense(3, activation="tanh")(x))
    x = getattr(layers, name)(5, return_sequences=True)(x)
    x = layers.LayerNormalization()(x)
    model = dagir.Model(ids, getattr(layers, name)(4, **kwargs)(x))
    for place, layer in enumerate(model.layers):
        if layer.weights:
            randomize(layer, place)
    return model


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("backwards", [False, True])
def test_implicit_masks_flow_from_the_embedding_through_all(name, backwards):
    model = text_model(name, return_sequences=True, go_backwards=backwards)
    keras_model = dagir.lower(model, "keras").artifact
    kinds = [type(layer).__name__ for layer in keras_model.layers]
    assert kinds[1:] == ["Embedding", "Dense", "Dropout", name, "LayerNormalization", name]
    for ids in ([[3, 0, 5, 0, 0], [0, 0, 0, 0, 0], [1, 2, 3, 4, 5], [0, 0, 7, 8, 0]], [[0]], [[4, 0, 0]]):
        assert_equivalent(model, [np.array(ids, "int32")])


@pytest.mark.parametrize("name", ALL)
def test_masking_layer(name):
    x = dagir.Input(("time", 3))
    masked = layers.Masking(mask_value=-1.0)(x)
    assert masked.mask is not None
    layer = getattr(layers, name)(4, return_sequences=True)
    model = dagir.Model(x, [layer(masked), masked])
    randomize(layer)
    feed = np.random.default_rng(0).normal(size=(3, 5, 3)).astype("float32")
    feed[0, 1], feed[1], feed[2, 4, 0] = -1, -1, -1
    judge = keras.layers.Masking(-1.0)(feed)
    (want,) = keras_outputs(
        name, {"units": 4, "return_sequences": True}, layer, np.asarray(judge), mask=judge._keras_mask
    )
    outputs = dagir.lower(model, "numpy", precision="float64")(feed)
    assert_close(want, outputs[0], "Keras's masking")
    assert_close(np.asarray(judge), outputs[1], "masked values")
    assert_equivalent(model, [feed])


def test_mask_flow_is_that_of_keras():
    x = layers.Embedding(9, 4, mask_zero=True)(dagir.Input(("time",), dtype="int32"))
    y, h, c = layers.LSTM(4, return_sequences=True, return_state=True)(x)
    assert y.mask is x.mask
    assert h.mask is None
    assert c.mask is None
    assert layers.LSTM(4)(x).mask is None
    assert layers.GRU(4, return_sequences=True)(x).mask is x.mask


class Encoder(dagir.Layer):
    """A custom layer: its recurrence is traced, and takes the mask of its input."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = layers.GRU(3, return_sequences=True)

    def call(self, x, mask=None):
        kernel = self.add_weight((3, 6), "glorot_uniform", name="kernel")
        recurrent = self.add_weight((2, 6), "glorot_uniform", name="recurrent")
        return ops.gru(self.inner(x, mask=mask), kernel, recurrent, mask=mask)[0]


def test_recurrence_inside_a_custom_layer():
    ids = dagir.Input(("time",), dtype="int32")
    encoder = Encoder()
    model = dagir.Model(ids, encoder(layers.Embedding(9, 4, mask_zero=True)(ids)))
    randomize(encoder)
    for feed in ([[3, 0, 5, 0, 0], [0, 0, 0, 0, 0], [1, 2, 3, 4, 5]], [[0, 2]]):
        assert_equivalent(model, [np.array(feed, "int32")])


@pytest.mark.parametrize("name", ALL)
def test_configuration_makes_the_layer_again(name):
    layer = getattr(layers, name)(4, go_backwards=True, dropout=0.2, zero_output_for_mask=True, activation=ops.relu)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.cell.native_op() == layer.cell.native_op()
    assert again.cell.get_config() == layer.cell.get_config()


def test_first_bias_of_an_lstm_remembers():
    layer = layers.LSTM(2)
    layer(dagir.Input((None, 3)))
    np.testing.assert_array_equal(layer.get_weights()[2], [0, 0, 1, 1, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"units": 0}, "positive int for units"),
        ({"units": 2, "stateful": True}, "initial_state="),
        ({"units": 2, "activation": "tahn"}, "tanh"),
        ({"units": 2, "dropout": "half"}, "from 0 to 1 for dropout"),
        ({"units": 2, "use_cudnn": "yes"}, "use_cudnn"),
        ({"units": 2, "retrun_state": True}, "return_state"),
    ],
)
def test_wrong_arguments_are_refused_with_the_remedy(arguments, told):
    with pytest.raises(ArgumentError, match=told):
        layers.LSTM(**arguments)


def test_wrong_calls_are_refused():
    x = dagir.Input((None, 3))
    with pytest.raises(ArgumentError, match="unroll"):
        layers.GRU(2, unroll=True)(x)
    with pytest.raises(ArgumentError, match="takes 2 initial state"):
        layers.LSTM(2)(x, initial_state=[dagir.Input((2,))])
    with pytest.raises(ShapeError, match="initial state"):
        layers.GRU(2)(x, initial_state=dagir.Input((3,)))
    with pytest.raises(ShapeError, match="rank 3"):
        layers.GRU(2)(dagir.Input((3,)))
    with pytest.raises(ShapeError, match="axis 1 of the mask"):
        layers.GRU(2)(dagir.Input((4, 3)), mask=dagir.Input((5,), dtype="bool"))
    with pytest.raises(DTypeError, match="bool"):
        ops.simple_rnn(x, np.ones((3, 2), "f"), np.ones((2, 2), "f"), mask=dagir.Input((None,)))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("activation", ["gelu", "selu", "silu", "relu6", "exponential", "softmax", "log_softmax"])
def test_activations_that_onnx_lacks_become_one_scan(name, masked, activation):
    kwargs = {"units": 3, "activation": activation, "return_sequences": True}
    layer = getattr(layers, name)(**kwargs)
    model = model_of(layer, 2, masked)
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (2, 3, 2)).astype("float32")
    more = {"mask": np.array([[True, False, True], [False, False, False]])} if masked else {}
    oracle = dagir.lower(model, "numpy", precision="float64")([x, *more.values()])
    assert_close(keras_outputs(name, kwargs, layer, x, **more)[0], oracle, activation)
    assert_equivalent(model, [x, *more.values()])
    assert op_types(model).count("Scan") == 1
    assert NATIVE[name] not in op_types(model)


@pytest.mark.parametrize("name", ALL)
def test_activations_that_have_no_name(name):
    kwargs = {} if name == "SimpleRNN" else {"recurrent_activation": lambda x: ops.sigmoid(x * 2.0)}
    layer = getattr(layers, name)(3, activation=lambda x: ops.tanh(x) * 0.5, return_sequences=True, **kwargs)
    model = model_of(layer, 2, mask=True)
    theirs = {"activation": lambda x: keras.ops.tanh(x) * 0.5}
    if kwargs:
        theirs["recurrent_activation"] = lambda x: keras.ops.sigmoid(x * 2.0)
    rng = np.random.default_rng(0)
    x, mask = rng.uniform(-1, 1, (3, 5, 2)).astype("float32"), rng.random((3, 5)) < 0.6
    want = keras_outputs(name, {"units": 3, "return_sequences": True, **theirs}, layer, x, mask=mask)
    assert_close(want[0], dagir.lower(model, "numpy", precision="float64")([x, mask]), "Keras's own")
    assert_equivalent(model, [x, mask])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_dtypes(name, dtype):
    x = dagir.Input(("time", 3), dtype=dtype)
    layer = getattr(layers, name)(4, dtype=dtype, return_sequences=True, return_state=True)
    model = dagir.Model(x, layer(x))
    randomize(layer)
    feed = np.random.default_rng(0).uniform(-1, 1, (3, 5, 3)).astype(dtype)
    assert_equivalent(model, [feed], ("numpy", "onnx") if dtype == "float16" else ("numpy", "onnx", "keras"))


class Doubled(dagir.Layer):
    """Lets no mask through."""

    def call(self, x):
        return ops.relu(x) * 2.0 + 1.0


class Transparent(Doubled):
    supports_masking = True


class Choosing(Doubled):
    def compute_mask(self, inputs, mask=None):
        return ops.greater(inputs[:, :, 0], 0.0)


class Wrapping(dagir.Layer):
    """Holds a layer of Keras's, whose output and mask are its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = layers.GRU(4, return_sequences=True)

    def call(self, x):
        return self.inner(x)


def nested_embedding():
    ids = dagir.Input(("time",), dtype="int32")
    return dagir.Model(ids, layers.Embedding(9, 4, mask_zero=True)(ids))


@pytest.mark.parametrize("between", [Doubled, Transparent, Choosing, Wrapping, None, "linear", "nested"])
def test_masks_are_the_same_everywhere_after(between):
    ids = dagir.Input(("time",), dtype="int32")
    x = nested_embedding()(ids) if between == "nested" else layers.Embedding(9, 4, mask_zero=True)(ids)
    if between == "linear":
        x = ops.linear(x, dagir.ir.graph.Parameter("w", x.type.with_shape((4, 4)), array=np.eye(4, dtype="f")))
    elif isinstance(between, type):
        x = between()(x)
    outputs = layers.LSTM(3)(x)
    assert (x.mask is None) == (between in (Doubled, "linear"))
    model = dagir.Model(ids, outputs)
    for place, weight in enumerate(model.weights):
        weight.assign(np.random.default_rng(place).uniform(-1, 1, weight.shape))
    assert_equivalent(model, [np.array([[3, 0, 5, 0, 0], [0, 0, 0, 0, 0], [1, 2, 3, 4, 5]], "int32")])


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_an_empty_batch_is_an_error_and_no_crash_of_onnxruntime(name):
    model = model_of(getattr(layers, name)(4), 3)
    empty = np.zeros((0, 5, 3), "float32")
    for backend in ("numpy", "onnx", "keras"):
        assert dagir.lower(model, backend)(empty).shape == (0, 4)
    total = dagir.Model(model.input, ops.sum(model.output, axis=0))
    np.testing.assert_array_equal(dagir.lower(total, "numpy")(empty), np.zeros(4))
    with pytest.raises(FeedError, match="empty batch"):
        dagir.lower(total, "onnx")(empty)
