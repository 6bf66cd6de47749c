"""Dropout and noise: nothing at inference, Keras's real layers for training."""

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
from dagir.errors import ArgumentError, DTypeError, ShapeError
from dagir.testing import assert_equivalent

SHARE = st.sampled_from([0.0, 0.25, 0.5, 1.0])
ARGUMENTS = {
    "Dropout": (
        2,
        {"rate": SHARE, "seed": st.none() | st.just(3), "noise_shape": st.sampled_from([None, (None, 1, 4)])},
    ),
    "AlphaDropout": (2, {"rate": SHARE, "noise_shape": st.sampled_from([None, (None, 1, 4)])}),
    "GaussianDropout": (2, {"rate": SHARE, "seed": st.none() | st.just(3)}),
    "GaussianNoise": (2, {"stddev": SHARE, "seed": st.none() | st.just(3)}),
    "SpatialDropout1D": (2, {"rate": SHARE}),
    "SpatialDropout2D": (3, {"rate": SHARE, "data_format": st.sampled_from([None, "channels_first"])}),
    "SpatialDropout3D": (4, {"rate": SHARE, "data_format": st.sampled_from([None, "channels_last"])}),
}


def inputs_for(name):
    rank, _ = ARGUMENTS[name]
    return dagir.Input(("time", *[4] * (rank - 1)), name="x"), (3, 5, *[4] * (rank - 1))


@pytest.mark.parametrize("name", ARGUMENTS)
def test_identity_at_inference_and_a_real_layer_for_training(name):
    @given(st.fixed_dictionaries(ARGUMENTS[name][1]))
    def holds(kwargs):
        dagir.clear_session()
        x, shape = inputs_for(name)
        model = dagir.Model(x, getattr(layers, name)(**kwargs)(x))
        array = np.random.default_rng(0).uniform(-2, 2, shape).astype("float32")
        for backend in ("numpy", "onnx", "keras"):
            np.testing.assert_array_equal(dagir.lower(model, backend)(array), array)
        made = dagir.lower(model, "keras").artifact.layers[1]
        assert type(made) is getattr(keras.layers, name)
        assert {key: made.get_config()[key] for key in kwargs} == {
            key: "channels_last" if key == "data_format" and value is None else value for key, value in kwargs.items()
        }

    holds()


@pytest.mark.parametrize("name", ["Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D"])
def test_training_is_random(name):
    x, shape = inputs_for(name)
    model = dagir.Model(x, getattr(layers, name)(0.5)(x))
    array = np.ones(shape, "float32")
    trained = np.asarray(dagir.lower(model, "keras").artifact(array, training=True))
    assert not np.array_equal(trained, array)


def test_no_node_is_left_in_onnx():
    x = dagir.Input((4,))
    y = layers.Dropout(0.5)(layers.Dense(3)(x))
    model = dagir.Model(x, layers.Dense(2)(layers.GaussianNoise(0.1)(y)))
    assert [node.op_type for node in dagir.lower(model, "onnx").artifact.graph.node] == ["Gemm", "Gemm"]
    assert_equivalent(model, [np.ones((2, 4), "float32")])


@pytest.mark.parametrize("name", ARGUMENTS)
def test_masks_pass_and_the_signature_is_that_of_keras(name):
    ours = inspect.signature(getattr(layers, name).__init__).parameters
    theirs = inspect.signature(getattr(keras.layers, name).__init__).parameters
    assert [(key, p.default) for key, p in ours.items()] == [(key, p.default) for key, p in theirs.items()]
    x, _ = inputs_for(name)
    x.attach_mask(dagir.Input(("time",), dtype="bool"))
    layer = getattr(layers, name)(0.5)
    assert layer(x).mask is x.mask
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_wrong_arguments_are_refused():
    with pytest.raises(ArgumentError, match="from 0 to 1 for rate"):
        layers.Dropout(1.5)
    with pytest.raises(ArgumentError, match="from 0 to 1 for stddev"):
        layers.GaussianNoise(-0.1)
    with pytest.raises(ArgumentError, match="noise_shape"):
        layers.Dropout(0.5, noise_shape=(0, 1))
    with pytest.raises(ArgumentError, match="noise_shape"):
        layers.Dropout(0.5, noise_shape=(None, 1, 1))(dagir.Input((4,)))
    with pytest.raises(ArgumentError, match="int or None for seed"):
        layers.Dropout(0.5, seed="x")
    with pytest.raises(ArgumentError, match="data_format"):
        layers.SpatialDropout2D(0.5, data_format="last")
    with pytest.raises(ShapeError, match="rank 3"):
        layers.SpatialDropout1D(0.5)(dagir.Input((4,)))
    with pytest.raises(DTypeError, match="float"):
        layers.Dropout(0.5)(dagir.Input((4,), dtype="int32"))
