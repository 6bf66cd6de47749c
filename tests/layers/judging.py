"""What the tests of layers share: a layer of dagir beside Keras's own with the same configuration and weights."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np

import dagir
from dagir.ir.nest import flatten
from dagir.testing import assert_close, assert_equivalent


def as_list(structure):
    return list(structure) if isinstance(structure, (list, tuple)) else [structure]


def randomize(layer, seed=0, low=-1.0, high=1.0):
    """Nothing stays at 0 or 1."""
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.uniform(low, high, w.shape).astype(w.dtype.numpy) for w in layer.weights])


def floats(shape, seed=0, low=-2.0, high=2.0):
    """Values of both signs, exact zeros among them."""
    values = np.random.default_rng(seed).uniform(low, high, shape).astype("float32")
    values.reshape(-1)[::5] = 0
    return values


def judge_of(layer, **kwargs):
    """Keras's own layer, by the arguments or else by the configuration."""
    cls = getattr(keras.layers, type(layer).__name__)
    return cls(**kwargs) if kwargs else cls.from_config(layer.get_config())


def check(layer, xs, judge, call=lambda layer, *values: layer(*values), backends=("numpy", "onnx", "keras")):
    """The layer agrees with the judge, a Keras layer, at shape and weights' order; every backend with the oracle.

    call(layer, *values): on Values of dagir, and on tensors with Keras's.
    """
    inputs = [dagir.Input(x.shape[1:], dtype=str(x.dtype)) for x in xs]
    outputs = call(layer, *inputs)
    model = dagir.Model(inputs, outputs)
    randomize(layer)
    tensors = [keras.ops.convert_to_tensor(x) for x in xs]
    call(judge, *tensors)
    assert [w.path.split("/")[1:] for w in judge.weights] == [w.name.split("/")[1:] for w in layer.weights]
    judge.set_weights(layer.get_weights())
    wanted = call(judge, *tensors)
    oracle = dagir.lower(model, "numpy", precision="float64")(list(xs))
    for want, found, value in zip(as_list(wanted), as_list(oracle), as_list(outputs), strict=True):
        assert value.type.shape[1:] == want.shape[1:]
        assert_close(np.asarray(want), found, "Keras's own layer")
    assert_equivalent(model, list(xs), backends)
    return model


def at_three_sizes(model, judge, feeds_of, sizes=((1, 2), (3, 5), (2, 7))):
    """A model with unknown batch and time, on each backend and against a Keras model: feeds_of(batch, time)."""
    lowered = {backend: dagir.lower(model, backend) for backend in ("numpy", "onnx", "keras")}
    for batch, time in sizes:
        feeds = feeds_of(batch, time)
        want = flatten(dagir.lower(model, "numpy", precision="float64")(feeds))
        if judge is not None:
            for found, expected in zip(flatten(judge(feeds, training=False)), want, strict=True):
                assert_close(np.asarray(found), expected, f"Keras at {batch}, {time}")
        for backend, run in lowered.items():
            for found, expected in zip(flatten(run(feeds)), want, strict=True):
                assert_close(found, expected, f"{backend} at {batch}, {time}")
