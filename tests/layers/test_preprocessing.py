"""Preprocessing layers that are arithmetic against Keras's own, on every backend."""

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

NUMBERS = ["Rescaling", "Normalization"]
SIZES = st.sampled_from([1, 2, 3, 5])


def oracle(model, *xs):
    return dagir.lower(model, "numpy", precision="float64")(list(xs))


def model_of(layer, shape, dtype="float32"):
    x = dagir.Input(shape, dtype=dtype)
    return dagir.Model(x, layer(x))


def inputs(draw, shape, dtype):
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    if dtype == "float32":
        return rng.uniform(-3, 3, shape).astype(dtype)
    return rng.integers(0, 255, shape).astype(dtype)


@given(st.data())
def test_rescaling_agrees_with_keras(data):
    draw = data.draw
    shape = (draw(st.sampled_from([1, 3])), *draw(st.lists(SIZES, min_size=1, max_size=3)))
    number = st.floats(-2, 2, width=16)

    def numbers():
        kind = draw(st.sampled_from(["number", "channels", "all"]))
        if kind == "number":
            return draw(number)
        sizes = shape[-1:] if kind == "channels" else shape[1:]
        return np.random.default_rng(draw(st.integers(0, 9))).uniform(-2, 2, sizes)

    kwargs = {"scale": numbers(), "offset": numbers()}
    dtype = draw(st.sampled_from(["float32", "uint8", "int32"]))
    x = inputs(draw, shape, dtype)
    model = model_of(layers.Rescaling(**kwargs), shape[1:], dtype)
    assert_close(np.asarray(keras.layers.Rescaling(**kwargs)(x)), oracle(model, x), "Keras's own layer")
    assert_equivalent(model, [x])


@st.composite
def normalizations(draw, shape):
    """Arguments, with mean and variance for the axes or for some of the last of them."""
    rank = len(shape)
    axis = st.integers(1, rank - 1).flatmap(lambda axis: st.sampled_from([axis, axis - rank]))
    several = st.lists(axis, min_size=1, max_size=rank - 1, unique_by=lambda axis: axis % rank)
    kwargs = {"axis": draw(st.none() | axis | several), "invert": draw(st.booleans())}
    if draw(st.booleans()):
        axes = kwargs["axis"]
        kept = sorted(each % rank for each in ([] if axes is None else [axes] if isinstance(axes, int) else axes))
        sizes = [shape[each] for each in kept[draw(st.integers(0, len(kept))) :]]
        rng = np.random.default_rng(draw(st.integers(0, 2**16)))
        kwargs["mean"] = rng.uniform(-2, 2, sizes).tolist()
        kwargs["variance"] = rng.uniform(0.3, 2, sizes).tolist()
    return kwargs


def randomize(layer):
    rng = np.random.default_rng(0)
    if layer.weights:
        mean, variance, count = layer.weights
        layer.set_weights([rng.uniform(-2, 2, mean.shape), rng.uniform(0.3, 2, variance.shape), count.array + 7])


@given(st.data())
def test_normalization_agrees_with_keras(data):
    draw = data.draw
    shape = (draw(st.sampled_from([1, 3])), *draw(st.lists(SIZES, min_size=1, max_size=3)))
    kwargs = draw(normalizations(shape))
    dtype = draw(st.sampled_from(["float32", "uint8", "int32"]))
    x = inputs(draw, shape, dtype)
    layer = layers.Normalization(**kwargs)
    model = model_of(layer, shape[1:], dtype)
    randomize(layer)
    judge = keras.layers.Normalization(**kwargs)
    judge.build(x.shape)
    assert [(w.name, w.dtype) for w in judge.weights] == [(w.name.rsplit("/")[-1], w.dtype) for w in layer.weights]
    judge.set_weights(layer.get_weights())
    judge.finalize_state()
    assert_close(np.asarray(judge(x)), oracle(model, x), "Keras's own layer")
    assert_equivalent(model, [x])


def test_normalization_of_a_constant_feature():
    """Where the variance is 0 the divisor is 1e-7."""
    layer = layers.Normalization(axis=-1, mean=[1.0, 2.0], variance=[0.0, 1e-20])
    x = np.array([[1.0, 2.0], [1.5, 2.5]], "float32")
    judge = keras.layers.Normalization(axis=-1, mean=[1.0, 2.0], variance=[0.0, 1e-20])
    model = model_of(layer, (2,))
    assert_close(np.asarray(judge(x)), oracle(model, x), "Keras's own layer")
    assert_equivalent(model, [x])


@pytest.mark.parametrize("axis", [None, -1, [1, 3]])
@pytest.mark.parametrize("batched", [False, True])
def test_normalization_adapts_as_keras_s(axis, batched):
    data = np.random.default_rng(0).uniform(-2, 5, (7, 3, 2, 5)).astype("float32")
    given = [data[:3], data[3:5], data[5:]] if batched else data
    layer, judge = layers.Normalization(axis=axis), keras.layers.Normalization(axis=axis)
    layer.adapt(given)
    judge.adapt(given)
    for mine, theirs in zip(layer.get_weights(), judge.get_weights(), strict=True):
        assert_close(theirs, mine, "Keras's own statistics")
    model = model_of(layer, data.shape[1:])
    assert_close(np.asarray(judge(data)), oracle(model, data), "Keras's own layer")
    assert_equivalent(model, [data])


@pytest.mark.parametrize("name", NUMBERS)
def test_sizes_known_at_run_time_only(name):
    kwargs = {"scale": 0.5, "offset": [1.0, -2.0, 3.0]} if name == "Rescaling" else {}
    layer = getattr(layers, name)(**kwargs)
    model = model_of(layer, (None, None, 3))
    randomize(layer)
    lowered = {backend: dagir.lower(model, backend) for backend in ("numpy", "onnx", "keras")}
    for size in (1, 4, 7):
        x = np.random.default_rng(size).uniform(-2, 2, (size, size, size + 1, 3)).astype("float32")
        for backend, run in lowered.items():
            assert_close(run(x), oracle(model, x), f"{backend} at {size}")


@pytest.mark.parametrize("name", NUMBERS)
def test_in_a_file(name, tmp_path):
    kwargs = {"scale": np.array([0.5, 2.0]), "offset": 1.0} if name == "Rescaling" else {}
    layer = getattr(layers, name)(**kwargs)
    model = model_of(layer, (3, 2))
    randomize(layer)
    x = np.random.default_rng(0).uniform(-2, 2, (2, 3, 2)).astype("float32")
    model.save(tmp_path / "m.dagir")
    again = dagir.load(tmp_path / "m.dagir")
    assert np.array_equal(oracle(model, x), oracle(again, x))
    assert again.layers[-1].get_config().keys() == layer.get_config().keys()
    dagir.to_keras(model).save(tmp_path / "m.keras")
    reread = keras.models.load_model(tmp_path / "m.keras")
    assert type(reread.layers[-1]) is getattr(keras.layers, name)
    assert_close(np.asarray(reread(x)), oracle(model, x), "the Keras file")


@pytest.mark.parametrize("name", NUMBERS)
def test_signature_is_keras_s(name):
    mine, theirs = (inspect.signature(getattr(home, name)) for home in (layers, keras.layers))
    assert [(p.name, p.default) for p in mine.parameters.values()] == [
        (p.name, p.default) for p in theirs.parameters.values()
    ]


@pytest.mark.parametrize(
    ("name", "kwargs", "shape", "message"),
    [
        ("Rescaling", {"scale": "half"}, (2,), "numbers for scale, got 'half'"),
        ("Rescaling", {"scale": [1, 2, 3]}, (2,), "do not broadcast"),
        ("Normalization", {"mean": 1.0}, (2,), "mean and variance together"),
        ("Normalization", {"axis": 4}, (2,), "axis 4 is out of range"),
        ("Normalization", {"axis": 1}, (None, 2), "size None"),
        ("Normalization", {"axis": 1, "mean": 0, "variance": 1}, (None, 2), "fixed sizes"),
        ("Normalization", {"mean": [1, 2], "variance": [1]}, (2,), "of one shape"),
        ("Normalization", {"mean": [1, 2], "variance": [1, 2]}, (3,), "do not broadcast"),
    ],
)
def test_refuses(name, kwargs, shape, message):
    with pytest.raises(dagir.DagirError, match=message):
        model_of(getattr(layers, name)(**kwargs), shape)
