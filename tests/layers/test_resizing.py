"""Resizing, CenterCrop and keras.ops.image against Keras's own, on every backend."""

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
from dagir.testing import assert_close, assert_equivalent

INTERPOLATIONS = ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"]
SIZES = st.integers(1, 9)


def oracle(model, *xs):
    return dagir.lower(model, "numpy", precision="float64")(list(xs))


def model_of(layer, shape, dtype="float32"):
    x = dagir.Input(shape, dtype=dtype)
    return dagir.Model(x, layer(x))


def images(shape, seed=0):
    return np.random.default_rng(seed).uniform(-3, 3, shape).astype("float32")


def op_types(model, opset=None):
    return [node.op_type for node in dagir.lower(model, "onnx", opset=opset).artifact.graph.node]


@st.composite
def arguments(draw, name):
    kwargs = {"height": draw(SIZES), "width": draw(SIZES)}
    kwargs["data_format"] = draw(st.sampled_from([None, "channels_last", "channels_first"]))
    if name == "Resizing":
        kwargs["interpolation"] = draw(st.sampled_from(INTERPOLATIONS))
        kwargs["antialias"] = draw(st.booleans())
        ratio = draw(st.sampled_from([None, "crop_to_aspect_ratio", "pad_to_aspect_ratio"]))
        if ratio:
            kwargs[ratio] = True
        kwargs["fill_value"] = draw(st.sampled_from([0.0, 0.5, -2.0]))
    height, width, channels, batch = draw(SIZES), draw(SIZES), draw(st.integers(1, 3)), draw(st.sampled_from([1, 3]))
    first = kwargs["data_format"] == "channels_first"
    return kwargs, ((batch, channels, height, width) if first else (batch, height, width, channels))


@pytest.mark.parametrize("name", ["Resizing", "CenterCrop"])
def test_layer_agrees_with_keras(name):
    @given(arguments(name), st.integers(0, 2**16))
    def agrees(drawn, seed):
        kwargs, shape = drawn
        x = images(shape, seed)
        want = np.asarray(getattr(keras.layers, name)(**kwargs)(x))
        model = model_of(getattr(layers, name)(**kwargs), shape[1:])
        assert model.output.shape[1:] == want.shape[1:]
        assert_close(want, oracle(model, x), "Keras's own layer")
        assert_equivalent(model, [x])

    agrees()


@pytest.mark.parametrize("opset", [18, 21, 24])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_every_opset(interpolation, opset):
    x = images((2, 5, 6, 3))
    for size in ((10, 12), (7, 4), (5, 3), (1, 2)):
        model = model_of(layers.Resizing(*size, interpolation), x.shape[1:])
        assert_close(dagir.lower(model, "onnx", opset=opset)(x), oracle(model, x), f"opset {opset}")


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_resize_is_native(interpolation):
    kinds = op_types(model_of(layers.Resizing(10, 8, interpolation), (5, 4, 3)))
    assert "Resize" in kinds
    assert "MatMul" not in kinds


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    ("name", "kwargs"),
    [("Resizing", {"interpolation": interpolation}) for interpolation in INTERPOLATIONS]
    + [
        ("Resizing", {"interpolation": "bilinear", "antialias": True}),
        ("Resizing", {"interpolation": "bicubic", "antialias": True}),
        ("Resizing", {"crop_to_aspect_ratio": True}),
        ("Resizing", {"pad_to_aspect_ratio": True, "fill_value": 1.5}),
        ("CenterCrop", {}),
    ],
)
def test_sizes_known_at_run_time_only(name, kwargs, data_format):
    """Some are smaller than what is wanted, some are larger, some have another ratio."""
    kwargs = {"height": 5, "width": 4, "data_format": data_format, **kwargs}
    last = data_format == "channels_last"
    model = model_of(getattr(layers, name)(**kwargs), (None, None, 2) if last else (2, None, None))
    assert model.output.shape[1:] == ((5, 4, 2) if last else (2, 5, 4))
    judge = getattr(keras.layers, name)(**kwargs)
    lowered = {backend: dagir.lower(model, backend) for backend in ("numpy", "onnx", "keras")}
    for height, width in ((3, 7), (9, 5), (5, 4), (6, 2)):
        x = images((2, height, width, 2) if last else (2, 2, height, width), height)
        expected = oracle(model, x)
        assert_close(np.asarray(judge(x)), expected, f"Keras's own layer at {height}x{width}")
        for backend, run in lowered.items():
            assert_close(run(x), expected, f"{backend} at {height}x{width}")


@pytest.mark.parametrize("name", ["Resizing", "CenterCrop"])
@pytest.mark.parametrize("shape", [(6, 8, 3), (2, 3, 1)])
def test_one_image(name, shape):
    x = dagir.Input(batch_shape=shape)
    model = dagir.Model(x, getattr(layers, name)(4, 5)(x))
    array = images(shape)
    assert_close(np.asarray(getattr(keras.layers, name)(4, 5)(array)), oracle(model, array), "Keras's own layer")
    assert_equivalent(model, [array])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32"])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_whole_numbers_are_rounded_and_saturated(dtype, interpolation):
    """Grown to twice the size weights are parts of 128 or less, and no place is near the middle between integers."""
    x = np.random.default_rng(1).integers(0, 2, (2, 5, 4, 2)).astype(dtype) * 254
    model = model_of(layers.Resizing(10, 8, interpolation), x.shape[1:], dtype)
    want = np.asarray(keras.layers.Resizing(10, 8, interpolation)(x))
    assert want.dtype == dtype
    assert_close(want, oracle(model, x), "Keras's own layer")
    assert_equivalent(model, [x])


@pytest.mark.parametrize("size", range(1, 40))
def test_nearest_takes_keras_s_pixel(size):
    """Places in the middle between two pixels among them, which rounding in float32 decides."""
    x = np.arange(12, dtype="float32").reshape(1, 12, 1, 1)
    model = model_of(layers.Resizing(size, 1, "nearest"), (12, 1, 1))
    assert np.array_equal(np.asarray(keras.layers.Resizing(size, 1, "nearest")(x)), oracle(model, x))
    assert_equivalent(model, [x], ("numpy", "onnx"))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_halves(interpolation, dtype):
    dtype = dagir.DType(dtype)
    x = dagir.Input((5, 6, 2), dtype=dtype)
    model = dagir.Model(x, ops.image.resize(x, (7, 9), interpolation))
    assert_equivalent(model, [images((2, 5, 6, 2)).astype(dtype.numpy)])


def test_float64():
    x = dagir.Input((5, 6, 2), dtype="float64")
    model = dagir.Model(x, ops.image.resize(x, (7, 9), "bilinear"))
    array = images((2, 5, 6, 2)).astype("float64")
    assert_close(dagir.lower(model, "onnx")(array), oracle(model, array), "onnx", dagir.DType.FLOAT64)
    with pytest.raises(dagir.DagirError, match="interpolates no float64"):
        dagir.lower(model, "keras")


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("batched", [True, False])
def test_functions_of_images(data_format, batched):
    shape = (5, 7, 3) if data_format == "channels_last" else (3, 5, 7)
    array = images((2, *shape) if batched else shape)
    x = dagir.Input(batch_shape=array.shape)
    calls = [
        ("resize", {"size": (8, 4)}),
        ("resize", {"size": (8, 4), "interpolation": "lanczos3", "antialias": True}),
        ("resize", {"size": (3, 3), "crop_to_aspect_ratio": True}),
        ("resize", {"size": (9, 9), "pad_to_aspect_ratio": True, "fill_value": -1.0}),
        ("pad_images", {"top_padding": 1, "left_padding": 2, "target_height": 9, "target_width": 9}),
        ("pad_images", {"top_padding": 1, "left_padding": 2, "bottom_padding": 0, "right_padding": 3}),
        ("crop_images", {"bottom_cropping": 1, "right_cropping": 2, "target_height": 3, "target_width": 4}),
        ("crop_images", {"top_cropping": 1, "left_cropping": 2, "bottom_cropping": 1, "right_cropping": 0}),
        ("rgb_to_grayscale", {}),
        ("extract_patches", {"size": 2}),
        ("extract_patches", {"size": (5, 7)}),
        ("extract_patches", {"size": (2, 3), "strides": 1}),
        ("extract_patches", {"size": (3, 2), "strides": (1, 2), "padding": "same"}),
        ("extract_patches", {"size": 2, "strides": 1, "dilation_rate": 2}),
    ]
    for name, kwargs in calls:
        model = dagir.Model(x, getattr(ops.image, name)(x, **kwargs, data_format=data_format))
        want = _by_keras(name, array, kwargs, data_format)
        assert_close(want, oracle(model, array), f"keras.ops.image.{name}")
        assert_equivalent(model, [array])


def _by_keras(name, array, kwargs, data_format):
    """Keras's answer. Its patches are a convolution, which TensorFlow's CPU has channels-first with oneDNN alone."""
    function = getattr(keras.ops.image, name)
    if name != "extract_patches" or data_format == "channels_last":
        return np.asarray(function(array, **kwargs, data_format=data_format))
    return np.moveaxis(np.asarray(function(np.moveaxis(array, -3, -1), **kwargs, data_format="channels_last")), -1, -3)


def test_grey_of_bytes():
    array = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3)).astype("uint8")
    x = dagir.Input(array.shape[1:], dtype="uint8")
    model = dagir.Model(x, ops.image.rgb_to_grayscale(x))
    want = np.asarray(keras.ops.image.rgb_to_grayscale(array)).astype(int)
    for backend in ("numpy", "onnx", "keras"):  # a sum of three products may end a rounding below a whole number
        found = dagir.lower(model, backend)(array)
        assert found.dtype == "uint8"
        assert np.abs(found.astype(int) - want).max() <= 1
        assert np.mean(found == want) > 0.9


@pytest.mark.parametrize("name", ["Resizing", "CenterCrop"])
def test_signature_is_keras_s(name):
    mine, theirs = (inspect.signature(getattr(home, name)) for home in (layers, keras.layers))
    assert [(p.name, p.default) for p in mine.parameters.values()] == [
        (p.name, p.default) for p in theirs.parameters.values()
    ]


@pytest.mark.parametrize("name", ["resize", "pad_images", "crop_images", "rgb_to_grayscale", "extract_patches"])
def test_function_s_signature_is_keras_s(name):
    mine, theirs = (inspect.signature(getattr(home, name)) for home in (ops.image, keras.ops.image))
    assert [(p.name, p.default) for p in mine.parameters.values()] == [
        (p.name, p.default) for p in theirs.parameters.values()
    ]


@pytest.mark.parametrize(
    ("name", "kwargs", "shape", "message"),
    [
        ("Resizing", {"height": 0}, (4, 4, 1), "positive int for height, got 0"),
        ("Resizing", {"interpolation": "area"}, (4, 4, 1), "interpolation, got 'area'"),
        ("Resizing", {"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, (4, 4, 1), "not both"),
        ("Resizing", {"fill_mode": "edge"}, (4, 4, 1), "'constant' only"),
        ("Resizing", {}, (4,), "got rank 2"),
        ("Resizing", {"data_format": "first"}, (4, 4, 1), "data_format"),
        ("CenterCrop", {"width": 2.5}, (4, 4, 1), "positive int for width"),
    ],
)
def test_refuses(name, kwargs, shape, message):
    with pytest.raises(dagir.DagirError, match=message):
        model_of(getattr(layers, name)(**{"height": 2, "width": 2, **kwargs}), shape)


@pytest.mark.parametrize("name", ["Resizing", "CenterCrop", "AutoContrast", "RandomFlip"])
def test_from_keras(name):
    """Keras writes training=True, its default for layers of images, into every call of them."""
    kwargs = {"height": 4, "width": 5} if name in ("Resizing", "CenterCrop") else {}
    x = keras.Input((6, 7, 3))
    judge = keras.Model(x, getattr(keras.layers, name)(**kwargs)(x))
    array = images((2, 6, 7, 3)) + 9
    model = dagir.from_keras(judge)
    assert_close(np.asarray(judge(array, training=False)), oracle(model, array), "the Keras model")
    assert_equivalent(model, [array])


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_places_between_the_steps_of_keras_s_table(interpolation, antialias):
    """Without antialiasing TensorFlow rounds the places of bicubic weights to parts of 1024; 5 to 7 needs more."""
    x = images((2, 5, 6, 3))
    for size in ((7, 11), (3, 4), (10, 12)):
        model = model_of(layers.Resizing(*size, interpolation, antialias=antialias), x.shape[1:])
        judge = keras.layers.Resizing(*size, interpolation, antialias=antialias)
        assert_close(np.asarray(judge(x)), oracle(model, x), "Keras's own layer")
        assert_equivalent(model, [x])
