"""What convolution layers refuse, and say; their configuration; and how their weights stand in ONNX."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from dagir import layers, ops
from dagir.errors import ArgumentError, ShapeError


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: layers.Conv2D(0, 3), "Conv2D takes a positive int for filters, got 0"),
        (lambda: layers.Conv2D(4, 0), "an int of at least 1, or 2 of them for kernel_size, got 0"),
        (lambda: layers.Conv2D(4, (3, 3, 3)), "for kernel_size, got (3, 3, 3)"),
        (lambda: layers.Conv1D(4, 3, strides=0), "Conv1D takes an int of at least 1 for strides, got 0"),
        (lambda: layers.Conv1D(4, 3, dilation_rate=0), "for dilation_rate, got 0"),
        (lambda: layers.Conv1D(4, 2.5), "for kernel_size, got 2.5"),
        (lambda: layers.Conv2D(4, 3, padding="causal"), "Conv2D takes padding 'valid' or 'same', got 'causal'"),
        (lambda: layers.Conv1D(4, 3, padding="reflect"), "'valid' or 'same' or 'causal', got 'reflect'"),
        (lambda: layers.Conv2D(4, 3, data_format="NHWC"), "'channels_last' or 'channels_first', got 'NHWC'"),
        (lambda: layers.Conv2D(5, 3, groups=2), "5 filters do not split into 2 groups"),
        (lambda: layers.Conv2D(4, 3, strides=2, dilation_rate=2), "strides or dilation_rate above 1, not both"),
        (lambda: layers.Conv2DTranspose(4, 3, strides=2, dilation_rate=2), "above 1, not both"),
        (lambda: layers.Conv2DTranspose(4, 3, strides=2, output_padding=2), "must be below strides (2, 2)"),
        (lambda: layers.Conv1DTranspose(4, 3, output_padding=-1), "an int of at least 0 for output_padding, got -1"),
        (lambda: layers.DepthwiseConv2D(3, depth_multiplier=0), "a positive int for depth_multiplier, got 0"),
        (lambda: layers.Conv2D(4, 3, activation="rleu"), "did you mean relu"),
    ],
)
def test_arguments_out_of_range(make, said):
    with pytest.raises(ArgumentError) as caught:
        make()
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "shape", "said"),
    [
        (layers.Conv2D(4, 3, name="stem"), (32, 3), "Conv2D layer 'stem' takes values of rank 4, got 3"),
        (layers.Conv2D(4, 3), (8, 8, None), "give the channel axis of the input a fixed size"),
        (layers.Conv1D(4, 3, groups=2), (8, 3), "3 channels do not split into 2 groups"),
        (layers.Conv1D(4, 9), (8, 3), "the kernel reaches over 9 elements, the axis has 8"),
        (layers.Conv1DTranspose(4, 9), (8, None), "give the channel axis of the input a fixed size"),
        (layers.SeparableConv2D(4, 9), (8, 9, 3), "the kernel reaches over 9 elements, the axis has 8"),
    ],
)
def test_inputs_that_do_not_fit(layer, shape, said):
    with pytest.raises(ShapeError) as caught:
        layer(dagir.Input(shape))
    text = str(caught.value)
    assert said in text
    assert "called at" in text
    assert __file__.rsplit("/", 1)[-1] in text


def test_a_second_input_with_other_channels():
    conv = layers.Conv2D(4, 3, name="stem")
    conv(dagir.Input((8, 8, 3)))
    with pytest.raises(ShapeError) as caught:
        conv(dagir.Input((8, 8, 5), name="depth"))
    text = str(caught.value)
    assert "x has 5 channels, the kernel takes 3" in text
    assert "input depth" in text
    assert "weight stem/kernel" in text
    assert "built for" in text


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv1D(4, 3, padding="causal", dilation_rate=2),
        layers.Conv3D(4, (1, 2, 3), groups=2, use_bias=False),
        layers.Conv3DTranspose(4, 2, strides=2, output_padding=(1, 0, 1)),
        layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu"),
        layers.SeparableConv1D(4, 3, data_format="channels_first"),
    ],
    ids=lambda layer: layer.name,
)
def test_configuration_makes_the_layer_again(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    hidden = ("_calls", "_init_arguments", "_weights", "_sublayers")
    assert {k: v for k, v in vars(again).items() if k not in hidden} == {
        k: v for k, v in vars(layer).items() if k not in hidden
    }


def test_weights_stand_in_onnx_under_their_names_and_once():
    """The kernels in ONNX's order of axes, no Reshape or Transpose of them left to run time."""
    x = dagir.Input((8, 8, 3), name="image")
    y = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depth")(x)
    y = layers.Conv2D(4, (3, 2), name="mix")(y)
    model = dagir.lower(dagir.Model(x, layers.Conv2DTranspose(5, 2, strides=2, name="up")(y)), "onnx").artifact
    found = {one.name: tuple(one.dims) for one in model.graph.initializer}
    assert found == {
        "depth/kernel": (6, 1, 3, 3),
        "depth/bias": (6,),
        "mix/kernel": (4, 6, 3, 2),
        "mix/bias": (4,),
        "up/kernel": (4, 5, 2, 2),
        "up/bias": (5,),
    }
    assert {node.op_type for node in model.graph.node} <= {"Conv", "ConvTranspose", "Transpose"}


def test_a_weight_read_in_two_forms():
    """The form that is written first takes the weight's name; the other must not read it."""
    conv = layers.Conv1D(4, 3, use_bias=False)
    x = dagir.Input((8, 2))
    y = conv(x)
    model = dagir.Model(x, [y, ops.identity(conv.kernel), ops.reshape(conv.kernel, (24,))])
    array = np.random.default_rng(0).uniform(-1, 1, (2, 8, 2)).astype("float32")
    found, kernel, flat = dagir.lower(model, "onnx")(array)
    np.testing.assert_allclose(found, dagir.lower(model, "numpy")(array)[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(kernel, conv.kernel.array)
    np.testing.assert_array_equal(flat, conv.kernel.array.reshape(-1))


@pytest.mark.parametrize("opset", [18, 24])
def test_strided_same_of_a_size_known_at_run_time_only_at_every_opset(opset):
    x = dagir.Input((None, None, 2))
    model = dagir.Model(x, layers.Conv2D(3, (4, 3), strides=(3, 2), padding="same")(x))
    run, reference = dagir.lower(model, "onnx", opset=opset), dagir.lower(model, "numpy")
    for height, width in ((4, 5), (6, 8), (7, 1)):
        array = np.random.default_rng(0).uniform(-1, 1, (1, height, width, 2)).astype("float32")
        np.testing.assert_allclose(run(array), reference(array), rtol=1e-5, atol=1e-6)
