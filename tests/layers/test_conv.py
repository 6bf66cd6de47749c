"""Convolution layers against Keras's own with the same weights, on every backend."""

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
from dagir import layers
from dagir.testing import assert_close, assert_equivalent

CONV = ["Conv1D", "Conv2D", "Conv3D"]
TRANSPOSE = ["Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"]
DEPTHWISE = ["DepthwiseConv1D", "DepthwiseConv2D"]
SEPARABLE = ["SeparableConv1D", "SeparableConv2D"]
ALL = [*CONV, *TRANSPOSE, *DEPTHWISE, *SEPARABLE]


def rank_of(name: str) -> int:
    return int(name[name.index("D") - 1]) if name in (*CONV, *TRANSPOSE) else int(name[-2])


@st.composite
def arguments(draw, name):
    """Arguments that Keras takes and TensorFlow can run on the CPU, and the shape of an input."""
    rank = rank_of(name)
    depthwise = name in (*DEPTHWISE, *SEPARABLE)
    sizes = st.integers(1, 4 if rank < 3 else 3)
    kernel = draw(sizes) if draw(st.booleans()) else tuple(draw(sizes) for _ in range(rank))
    kwargs = {"kernel_size": kernel, "padding": draw(st.sampled_from(["valid", "same", "SAME"]))}
    steps = st.integers(1, 3 if rank < 3 else 2)  # see test_conv3d_with_strides_far_above_its_kernel
    strides = (draw(steps),) * rank if depthwise else tuple(draw(steps) for _ in range(rank))
    dilation = draw(st.integers(1, 3)) if name not in TRANSPOSE and (depthwise or max(strides) == 1) else 1
    kwargs["strides"], kwargs["dilation_rate"] = draw(st.sampled_from([strides, list(strides)])), dilation
    if name == "Conv1D" and draw(st.booleans()):
        kwargs["padding"] = "causal"
    if name not in DEPTHWISE:
        kwargs["filters"] = draw(st.sampled_from([2, 4]))
    if name in CONV:
        kwargs["groups"] = draw(st.sampled_from([1, 1, 2]))
    if depthwise:
        kwargs["depth_multiplier"] = draw(st.integers(1, 3))
    kernels = (kernel,) * rank if isinstance(kernel, int) else kernel
    if name in TRANSPOSE and draw(st.booleans()):
        kwargs["output_padding"] = draw(output_paddings(kwargs["padding"], kernels, strides))
    kwargs["use_bias"] = draw(st.booleans())
    kwargs["activation"] = draw(st.sampled_from([None, "linear", "relu", "tanh"]))
    axes = tuple((k - 1) * dilation + 1 + draw(st.integers(0, 4)) for k in kernels)
    return kwargs, (draw(st.sampled_from([1, 3])), *axes, draw(st.sampled_from([2, 4])))


def output_paddings(padding, kernels, strides):
    """TensorFlow refuses an output that a convolution of that stride would not bring back to the input's size."""
    least = [int(padding.lower() == "same" and k % 2 == 0) for k in kernels]
    ranges = [(low, stride - 1) for low, stride in zip(least, strides, strict=True)]
    if any(low > high for low, high in ranges):
        return st.none()
    return st.tuples(*[st.integers(low, high) for low, high in ranges])


def filled(weights, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.uniform(-1, 1, weight.shape).astype("float32") for weight in weights]


def model_of(name, kwargs, shape):
    """A model of one dagir layer with drawn weights, on an input without the batch."""
    layer = getattr(layers, name)(**kwargs)
    x = dagir.Input(shape)
    model = dagir.Model(x, layer(x))
    layer.set_weights(filled(layer.weights))
    return model, layer


def keras_layer(name, kwargs, layer, shape):
    """Keras's layer with the weights of a dagir layer."""
    made = getattr(keras.layers, name)(**kwargs)
    made.build((None, *shape))
    assert [w.name for w in made.weights] == [w.name.rsplit("/", 1)[-1] for w in layer.weights]
    made.set_weights(layer.get_weights())
    return made


def oracle(model, x):
    return dagir.lower(model, "numpy", precision="float64")(x)


@pytest.mark.parametrize("name", ALL)
def test_layer_agrees_with_keras(name):
    @given(arguments(name), st.integers(0, 2**16))
    def agrees(drawn, seed):
        kwargs, shape = drawn
        x = np.random.default_rng(seed).uniform(-2, 2, shape).astype("float32")
        model, layer = model_of(name, kwargs, shape[1:])
        judge = keras_layer(name, kwargs, layer, shape[1:])
        want = np.asarray(judge(x))
        assert layer.output.shape[1:] == want.shape[1:]
        assert_close(want, oracle(model, x), "Keras's own layer")
        assert_equivalent(model, [x])

    agrees()


@pytest.mark.parametrize("name", ALL)
def test_channels_first_is_channels_last_transposed(name):
    @given(arguments(name), st.integers(0, 2**16))
    def agrees(drawn, seed):
        kwargs, shape = drawn
        x = np.random.default_rng(seed).uniform(-2, 2, shape).astype("float32")
        last, layer = model_of(name, kwargs, shape[1:])
        first, other = model_of(name, {**kwargs, "data_format": "channels_first"}, (shape[-1], *shape[1:-1]))
        other.set_weights(layer.get_weights())
        moved = np.moveaxis(x, -1, 1).copy()
        assert_close(np.moveaxis(oracle(first, moved), 1, -1), oracle(last, x), "channels_first", dagir.DType.FLOAT64)
        assert_equivalent(first, [moved], ("numpy", "onnx"))

    agrees()


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("name", ["Conv1D", "Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D"])
def test_sizes_known_at_run_time_only(name, strides, padding):
    """One lowered model at three sizes; a strided "same" pads differently at each."""
    rank = rank_of(name)
    kwargs = {"kernel_size": 4, "strides": strides, "padding": padding}
    kwargs |= {} if name in DEPTHWISE else {"filters": 3}
    model, layer = model_of(name, kwargs, (*(None,) * rank, 2))
    judge = keras_layer(name, kwargs, layer, (*(None,) * rank, 2))
    lowered = {backend: dagir.lower(model, backend) for backend in ("numpy", "onnx", "keras")}
    for size in (5, 8, 12):
        x = np.random.default_rng(size).uniform(-2, 2, (2, *range(size, size + rank), 2)).astype("float32")
        expected = oracle(model, x)
        assert_close(np.asarray(judge(x)), expected, f"Keras's own layer at {size}")
        for backend, run in lowered.items():
            assert_close(run(x), expected, f"{backend} at {size}")


def test_causal_at_sizes_known_at_run_time_only():
    kwargs = {"filters": 3, "kernel_size": 3, "dilation_rate": 2, "padding": "causal"}
    model, layer = model_of("Conv1D", kwargs, (None, 2))
    judge, run = keras_layer("Conv1D", kwargs, layer, (None, 2)), dagir.lower(model, "onnx")
    for size in (1, 4, 7):
        x = np.random.default_rng(size).uniform(-2, 2, (2, size, 2)).astype("float32")
        assert_close(run(x), oracle(model, x), f"onnx at {size}")
        assert_close(np.asarray(judge(x)), oracle(model, x), f"Keras's own layer at {size}")


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("name", TRANSPOSE)
def test_dilated_transpose_is_one_with_zeros_in_its_kernel(name, padding):
    """TensorFlow's transpose takes no dilation on the CPU, so Keras judges with the kernel spread out."""
    rank = rank_of(name)
    kwargs = {"filters": 3, "kernel_size": 3, "padding": padding, "dilation_rate": 2}
    shape = (*(4,) * rank, 2)
    model, layer = model_of(name, kwargs, shape)
    kernel, bias = layer.get_weights()
    spread = np.zeros((*(5,) * rank, 3, 2), "float32")
    spread[(slice(None, None, 2),) * rank] = kernel
    judge = getattr(keras.layers, name)(filters=3, kernel_size=5, padding=padding)
    judge.build((None, *shape))
    judge.set_weights([spread, bias])
    x = np.random.default_rng(1).uniform(-2, 2, (2, *shape)).astype("float32")
    assert_close(np.asarray(judge(x)), oracle(model, x), "Keras's own layer")
    assert_equivalent(model, [x], ("numpy", "onnx"))


def test_conv3d_with_strides_far_above_its_kernel():
    """Where nothing is to be padded the first place is at 0; TensorFlow's Conv3D alone begins later, without oneDNN."""
    kwargs = {"filters": 3, "kernel_size": (1, 1, 2), "strides": (1, 3, 5), "padding": "same"}
    model, layer = model_of("Conv3D", kwargs, (1, 6, 5, 2))
    kernel, bias = layer.get_weights()
    judge = keras.layers.Conv2D(3, (1, 2), strides=(3, 5), padding="same")
    judge.build((None, 6, 5, 2))
    judge.set_weights([kernel[0], bias])
    x = np.random.default_rng(1).uniform(-2, 2, (2, 1, 6, 5, 2)).astype("float32")
    assert_close(np.asarray(judge(x[:, 0]))[:, None], oracle(model, x), "Keras's own layer")
    assert_equivalent(model, [x], ("numpy", "onnx"))


def test_depthwise_with_strides_that_differ_is_a_grouped_convolution():
    """TensorFlow's depthwise kernel takes equal strides only; its grouped one takes any."""
    kwargs = {"kernel_size": (3, 2), "strides": (2, 1), "padding": "same", "depth_multiplier": 2}
    model, layer = model_of("DepthwiseConv2D", kwargs, (7, 6, 3))
    kernel, bias = layer.get_weights()
    judge = keras.layers.Conv2D(6, (3, 2), strides=(2, 1), padding="same", groups=3)
    judge.build((None, 7, 6, 3))
    judge.set_weights([kernel.reshape(3, 2, 1, 6), bias])
    x = np.random.default_rng(1).uniform(-2, 2, (2, 7, 6, 3)).astype("float32")
    assert_close(np.asarray(judge(x)), oracle(model, x), "Keras's own layer")
    assert_equivalent(model, [x], ("numpy", "onnx"))


def test_a_layer_called_twice_shares_its_weights():
    conv = layers.Conv2D(2, 3, padding="same", activation="relu")
    x = dagir.Input((6, 5, 2))
    model = dagir.Model(x, [conv(conv(x)), conv(x)])
    conv.set_weights(filled(conv.weights))
    assert_equivalent(model, [np.random.default_rng(0).uniform(-2, 2, (3, 6, 5, 2)).astype("float32")])
    initializers = dagir.lower(model, "onnx").artifact.graph.initializer
    assert sorted(tuple(one.dims) for one in initializers) == [(2,), (2, 2, 3, 3)]


@pytest.mark.parametrize("name", ALL)
def test_arguments_are_those_of_keras(name):
    def listed(kind):
        parameters = inspect.signature(kind.__init__).parameters.values()
        return [(p.name, _first(p.default)) for p in parameters if p.kind is not p.VAR_KEYWORD]

    assert listed(getattr(layers, name)) == listed(getattr(keras.layers, name))


def _first(default):
    """(1, 1) and 1 are one default."""
    return default[0] if isinstance(default, tuple) else default
