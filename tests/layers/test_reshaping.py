"""Reshaping, padding, cropping and upsampling layers against Keras's own, on every backend."""

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

SPATIAL = [f"{kind}{rank}D" for kind in ("ZeroPadding", "Cropping", "UpSampling") for rank in (1, 2, 3)]
ALL = ["Flatten", "Reshape", "Permute", "RepeatVector", *SPATIAL]
SIZES = st.sampled_from([1, 2, 3, 5])


@st.composite
def arguments(draw, name):
    """Arguments, and the shape of an input that fits them."""
    batch = draw(st.sampled_from([1, 3]))
    if name in SPATIAL:
        return draw(spatial_arguments(name, batch))
    if name == "RepeatVector":
        return {"n": draw(SIZES)}, (batch, draw(SIZES))
    shape = tuple(draw(st.lists(SIZES, min_size=name == "Permute", max_size=3)))
    if name == "Flatten":
        return {"data_format": draw(st.sampled_from([None, "channels_last", "channels_first"]))}, (batch, *shape)
    if name == "Permute":
        return {"dims": draw(st.permutations(range(1, len(shape) + 1)))}, (batch, *shape)
    target = list(draw(st.permutations(shape)))
    target.insert(draw(st.integers(0, len(target))), 1)
    if draw(st.booleans()):
        target[draw(st.integers(0, len(target) - 1))] = -1
    return {"target_shape": tuple(target)}, (batch, *shape)


@st.composite
def spatial_arguments(draw, name, batch):
    rank = int(name[-2])
    kind = name[:-2]
    few = st.integers(0, 2)
    kwargs = {}
    if kind == "UpSampling":
        factor = st.integers(1, 3)
        kwargs["size"] = draw(factor) if rank == 1 else draw(factor | st.tuples(*[factor] * rank))
        if rank == 2:
            kwargs["interpolation"] = draw(st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"]))
    elif rank == 1:
        kwargs["padding" if kind == "ZeroPadding" else "cropping"] = draw(few | st.tuples(few, few))
    else:
        pairs = st.tuples(*[few | st.tuples(few, few)] * rank)
        kwargs["padding" if kind == "ZeroPadding" else "cropping"] = draw(few | pairs)
    first = name not in ("Cropping1D", "UpSampling1D") and draw(st.booleans())
    if first:
        kwargs["data_format"] = "channels_first"
    spatial = [draw(SIZES) + (4 if kind == "Cropping" else 0) for _ in range(rank)]
    channels = draw(SIZES)
    return kwargs, ((batch, channels, *spatial) if first else (batch, *spatial, channels))


def oracle(model, x):
    return dagir.lower(model, "numpy", precision="float64")([x])


def model_of(name, kwargs, shape):
    x = dagir.Input(shape)
    return dagir.Model(x, getattr(layers, name)(**kwargs)(x))


@pytest.mark.parametrize("name", ALL)
def test_layer_agrees_with_keras(name):
    @given(arguments(name), st.integers(0, 2**16))
    def agrees(drawn, seed):
        kwargs, shape = drawn
        x = np.random.default_rng(seed).uniform(-2, 2, shape).astype("float32")
        want = np.asarray(getattr(keras.layers, name)(**kwargs)(x))
        model = model_of(name, kwargs, shape[1:])
        assert model.output.shape[1:] == want.shape[1:]
        assert_close(want, oracle(model, x), "Keras's own layer")
        assert_equivalent(model, [x])

    agrees()


DYNAMIC = [
    ("Flatten", {}, (None, 4)),
    ("Flatten", {"data_format": "channels_first"}, (3, None, None)),
    ("Reshape", {"target_shape": (-1,)}, (None, 4)),
    ("Reshape", {"target_shape": (-1, 2)}, (None, 4)),
    ("Reshape", {"target_shape": (-1, 2, 2)}, (None, 4)),
    ("Reshape", {"target_shape": (2, -1)}, (None, 4)),
    ("Permute", {"dims": (2, 1)}, (None, 4)),
    ("RepeatVector", {"n": 3}, (None,)),
    ("ZeroPadding1D", {"padding": (1, 2)}, (None, 4)),
    ("ZeroPadding2D", {"padding": ((1, 0), (2, 3))}, (None, None, 2)),
    ("ZeroPadding3D", {}, (None, None, None, 2)),
    ("Cropping1D", {"cropping": (1, 0)}, (None, 4)),
    ("Cropping2D", {"cropping": ((1, 0), (0, 2))}, (None, None, 2)),
    ("Cropping3D", {"cropping": 1}, (None, None, None, 2)),
    ("Cropping2D", {"cropping": ((1, 0), (0, 2)), "data_format": "channels_first"}, (2, None, None)),
    ("ZeroPadding2D", {"padding": ((1, 0), (2, 3)), "data_format": "channels_first"}, (2, None, None)),
    ("ZeroPadding3D", {"data_format": "channels_first"}, (2, None, None, None)),
    ("UpSampling1D", {}, (None, 4)),
    ("UpSampling2D", {"size": (2, 3)}, (None, None, 2)),
    ("UpSampling2D", {"size": (2, 3), "interpolation": "bilinear"}, (None, None, 2)),
    ("UpSampling2D", {"size": (2, 4), "interpolation": "bicubic"}, (None, None, 2)),
    ("UpSampling2D", {"size": (2, 3), "interpolation": "bicubic"}, (None, None, 2)),
    ("UpSampling2D", {"size": (1, 3), "interpolation": "lanczos5"}, (None, None, 2)),
    ("UpSampling2D", {"interpolation": "lanczos3", "data_format": "channels_first"}, (2, None, None)),
    ("UpSampling3D", {"data_format": "channels_first"}, (2, None, None, None)),
    ("UpSampling3D", {}, (None, None, None, 2)),
]


@pytest.mark.parametrize(("name", "kwargs", "shape"), DYNAMIC)
def test_sizes_known_at_run_time_only(name, kwargs, shape):
    model = model_of(name, kwargs, shape)
    judge = getattr(keras.layers, name)(**kwargs)
    lowered = {backend: dagir.lower(model, backend) for backend in ("numpy", "onnx", "keras")}
    for batch, start in ((1, 4), (3, 5)):
        sizes = [size or start + axis for axis, size in enumerate(shape)]
        x = np.random.default_rng(start).uniform(-2, 2, (batch, *sizes)).astype("float32")
        expected = oracle(model, x)
        assert_close(np.asarray(judge(x)), expected, "Keras's own layer")
        for backend, run in lowered.items():
            assert_close(run(x), expected, backend)


def test_reshape_keeps_the_sizes_of_axes_given_as_none():
    x = dagir.Input(("height", "width", 4))
    y = layers.Reshape((None, None, 2, 2))(x)
    assert str(y.type) == "float32[batch, height, width, 2, 2]"
    array = np.random.default_rng(0).uniform(-2, 2, (2, 3, 5, 4)).astype("float32")
    assert_equivalent(dagir.Model(x, y), [array], ("numpy", "onnx"))


def test_upsampling_of_integers():
    x = dagir.Input((3, 2), dtype="int64")
    array = np.arange(12).reshape(2, 3, 2)
    assert_equivalent(dagir.Model(x, layers.UpSampling1D(3)(x)), [array])


@pytest.mark.parametrize("name", ALL)
def test_signature_is_keras_s(name):
    mine, theirs = (inspect.signature(getattr(home, name)) for home in (layers, keras.layers))
    assert [(p.name, p.default) for p in mine.parameters.values()] == [
        (p.name, p.default) for p in theirs.parameters.values()
    ]


@pytest.mark.parametrize(
    ("name", "kwargs", "shape", "message"),
    [
        ("Reshape", {"target_shape": (3, 3)}, (8,), "cannot reshape"),
        ("Reshape", {"target_shape": (-1, -1)}, (8,), "at most one -1"),
        ("Reshape", {"target_shape": (-2, 4)}, (8,), "got -2"),
        ("Reshape", {"target_shape": 8}, (8,), "tuple for target_shape"),
        ("Reshape", {"target_shape": (4, None, None)}, (8,), "cannot be worked out"),
        ("Permute", {"dims": (0, 1)}, (8, 2), "axes 1 to 2"),
        ("Permute", {"dims": (1,)}, (8, 2), "rank 2, got 3"),
        ("RepeatVector", {"n": 2.5}, (8,), "positive int for n, got 2.5"),
        ("RepeatVector", {"n": 2}, (8, 2), "rank 2, got 3"),
        ("ZeroPadding2D", {"padding": (1, 2, 3)}, (8, 8, 2), "2 pairs for padding"),
        ("ZeroPadding2D", {"padding": ((1, -1), (0, 0))}, (8, 8, 2), "at least 0"),
        ("Cropping1D", {"cropping": (2, 1)}, (3, 2), r"cuts 2 \+ 1 off axis 1, which has 3"),
        ("UpSampling2D", {"size": 0}, (8, 8, 2), "size, got 0"),
        ("UpSampling2D", {"interpolation": "area"}, (8, 8, 2), "interpolation"),
    ],
)
def test_refuses(name, kwargs, shape, message):
    with pytest.raises(dagir.DagirError, match=message):
        model_of(name, kwargs, shape)
