"""Which dagir layers Keras has, and how a Keras layer is made from one: by its configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from dagir import layers, ops
from dagir.graph import Value
from dagir.layers import Layer
from dagir.model import Model
from dagir.origin import LayerCall
from dagir.structure import flatten
from dagir.types import DType, broadcast, take_equations
from dagir_keras.elementwise import is_read_as_bias

_ACTIVATION_NAMES = {
    getattr(ops, name): name
    for name in ("relu", "sigmoid", "tanh", "softmax", "log_softmax", "softplus", "softsign", "silu", "hard_sigmoid")
} | {ops.elu: "elu", ops.selu: "selu", ops.leaky_relu: "leaky_relu", ops.exp: "exponential"}


def is_native(call: LayerCall) -> bool:
    """Whether a layer call becomes a layer (or model) of Keras itself."""
    layer = call.layer
    if isinstance(layer, Model):
        return True
    if not isinstance(layer, Layer) or not type(layer).__module__.startswith("dagir.layers"):
        return False
    if isinstance(layer, (layers.Add, layers.Average)) and not _adds_right(call):
        return False
    return hasattr(keras.layers, type(layer).__name__) and _config(layer) is not None


def _adds_right(call: LayerCall) -> bool:
    """Whether Keras's layer adds the values of a call as they broadcast: see dagir_keras.elementwise.add."""
    shapes = [value.type.shape for value in flatten(call.args) if isinstance(value, Value)]
    rank = max(map(len, shapes))
    shapes = [(*shape[:1], *(1,) * (rank - len(shape)), *shape[1:]) for shape in shapes]
    total, right = shapes[0], True
    for shape in shapes[1:]:
        right = right and (shape == total or is_read_as_bias(total, shape))
        total = broadcast(total, shape)
    take_equations()  # the node has them already
    return right


def make_layer(layer: Layer) -> keras.layers.Layer:
    """The Keras layer with the same configuration; its weights are filled once it is built."""
    config = _config(layer)
    assert config is not None
    return getattr(keras.layers, type(layer).__name__).from_config(config)


@contextmanager
def building(made: keras.layers.Layer) -> Iterator[None]:
    """Within it, weights begin as zeros: their numbers are about to be assigned, and random ones would cost twice their
    memory and most of the time."""
    kept = [
        (each, name, value)
        for each in ([] if made.built else made._flatten_layers())
        for name, value in vars(each).items()
        if name.endswith("_initializer") and value is not None
    ]
    for each, name, _ in kept:
        setattr(each, name, keras.initializers.Zeros())
    try:
        yield
    finally:
        for each, name, value in kept:
            setattr(each, name, value)


def _config(layer: Layer) -> dict[str, Any] | None:
    """The layer's configuration as Keras takes it; None where it holds a function that Keras has no name for."""
    config: dict[str, Any] = {}
    for key, value in layer.get_config().items():
        if callable(value) and not isinstance(value, Layer):
            if key.endswith("initializer"):
                continue  # the weights are copied, so how they began is no matter
            if value not in _ACTIVATION_NAMES:
                return None
            config[key] = _ACTIVATION_NAMES[value]
        else:
            config[key] = _plain(value)
    return config


def _plain(value: Any) -> Any:
    """A dtype by its name and an array as lists: the only forms that every from_config of Keras takes."""
    if isinstance(value, DType):
        return str(value)
    return value.tolist() if isinstance(value, np.ndarray) else value
