"""Which dagir layers Keras has, and how a Keras layer is made from one: by its configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from dagir import initializers, layers, ops
from dagir.ir.graph import Value
from dagir.ir.nest import flatten, map_structure
from dagir.ir.types import DType, Equations
from dagir.layers import Layer
from dagir.layers.activation import name_of
from dagir.modeling.model import Model
from dagir.support.location import LayerCall
from dagir_keras.elementwise import is_read_as_bias
from dagir_keras.pool import reaches_outside

_ACTIVATION_NAMES = {
    getattr(ops, name): name
    for name in (
        *("relu", "sigmoid", "tanh", "softmax", "log_softmax", "softplus", "softsign", "silu", "hard_sigmoid"),
        *("elu", "selu", "leaky_relu", "relu6", "celu", "glu", "hard_silu", "hard_tanh", "hard_shrink", "soft_shrink"),
        *("tanh_shrink", "log_sigmoid", "squareplus", "sparse_plus", "sparse_sigmoid"),
    )
} | {ops.exp: "exponential"}


def is_native(call: LayerCall) -> bool:
    """Whether a layer call becomes a layer (or model) of Keras itself."""
    layer = call.layer
    if isinstance(layer, Model):
        return True
    if not isinstance(layer, Layer) or not _is_dagir_s(layer):
        return False
    if isinstance(layer, layers.Lambda):
        return False  # its function is of dagir; Keras gets what it computed
    if computes_in(call) is DType.FLOAT64 and any(map(_rounds_to_float32, _with_held(layer))):
        return False
    if isinstance(layer, (layers.Add, layers.Average)) and not _adds_right(call):
        return False
    if isinstance(layer, layers.RandomCrop) and _first_value(call).dtype is not layer.dtype:
        return False  # Keras declares the layer's dtype, and yields the images as they are
    if isinstance(layer, (layers.MultiHeadAttention, layers.GroupQueryAttention)) and not _attends_right(call):
        return False
    if isinstance(layer, (layers.IntegerLookup, layers.StringLookup)) and layer.output_mode != "int":
        return False  # Keras declares floats, and yields integers
    if type(layer).__name__.startswith("Adaptive") and reaches_outside(layer, _first_value(call).type.shape):
        return False
    dense = [each for each in (layer, *layer._sublayers) if isinstance(each, layers.EinsumDense)]
    return all(map(_has_plain_bias, dense)) and _has_keras_s(layer)


def _attends_right(call: LayerCall) -> bool:
    """Whether Keras's layer gives the shapes and digits that it should.

    In float64 it scales by a float32 number; for the scores of MultiHeadAttention it declares as many steps of the key
    as the query has.
    """
    layer = call.layer
    assert isinstance(layer, Layer)
    if layer.dtype is DType.FLOAT64:
        return False
    outputs = flatten(call.outputs)
    square = len(outputs) == 1 or outputs[1].shape[-1] == outputs[1].shape[-2]
    return square or isinstance(layer, layers.GroupQueryAttention)


def _has_plain_bias(layer: layers.EinsumDense) -> bool:
    """Whether keras.ops.add cannot take the bias for one of another axis: see dagir_keras.elementwise.add."""
    shape = () if layer.bias is None else layer.bias.shape
    return len([size for size in shape if size > 1]) != 1 or shape[-1] > 1


def _adds_right(call: LayerCall) -> bool:
    """Whether Keras's layer adds the values of a call as they broadcast: see dagir_keras.elementwise.add."""
    shapes = [value.type.shape for value in flatten(call.args) if isinstance(value, Value)]
    rank = max(map(len, shapes))
    shapes = [(*shape[:1], *(1,) * (rank - len(shape)), *shape[1:]) for shape in shapes]
    total, right = shapes[0], True
    for shape in shapes[1:]:
        right = right and (shape == total or is_read_as_bias(total, shape))
        total = Equations().broadcast(total, shape)  # the node has the equations already
    return right


def _first_value(call: LayerCall) -> Value:
    return next(value for value in flatten([call.args, call.kwargs]) if isinstance(value, Value))


def _with_held(layer: Layer) -> Iterator[Layer]:
    """The layer and those that it holds, but not what is in models, which are lowered on their own."""
    pending = [layer]
    while pending:
        layer = pending.pop()
        if not isinstance(layer, Model):
            yield layer
            pending.extend(layer._sublayers)


def _rounds_to_float32(layer: Layer) -> bool:
    """Whether Keras on TensorFlow computes in float64 with slopes, constants or weights of float32, or resizes so."""
    if isinstance(layer, (layers.UpSampling2D, layers.Resizing)):
        return layer.interpolation != "nearest"
    if isinstance(layer, layers.ReLU):
        return layer.negative_slope != 0
    if isinstance(layer, layers.Normalization):
        return not layer.weights
    activations = [name_of(value) for key, value in vars(layer).items() if key.endswith("activation")]
    own = isinstance(layer, (layers.LeakyReLU, layers.Rescaling, layers.MelSpectrogram))
    return own or not {"gelu", "leaky_relu"}.isdisjoint(activations)


def computes_in(call: LayerCall) -> DType:
    """The dtype that Keras's layer of a call must have, for Keras casts what a layer is given to the layer's dtype.

    Without weights, a layer of dagir computes in the dtype of its values: that of its result.
    """
    layer = call.layer
    assert isinstance(layer, Layer)
    results = [value.dtype for value in flatten(call.outputs) if isinstance(value, Value)]
    return _with_own(layer, next((dtype for dtype in results if dtype.is_float), layer.dtype))


def _with_own(layer: Layer, dtype: DType) -> DType:
    return layer.dtype if layer._weights else dtype


def make_layer(
    layer: Layer, dtype: DType, made: Callable[[Layer, DType], keras.layers.Layer], name: str | None = None
) -> keras.layers.Layer:
    """The Keras layer with the same configuration, but for the dtype; its weights are filled once it is built.

    made: what gives the Keras layers of the layers that this one holds. name: another name than the layer's.
    """
    config = _config(layer)
    assert config is not None
    config |= {"dtype": str(dtype), "name": name or layer.name}
    cls = getattr(keras.layers, type(layer).__name__)
    if isinstance(layer, layers.Bidirectional):
        made = _unshared  # Keras copies them
    if not any(isinstance(leaf, Layer) for leaf in flatten(config)):
        return cls.from_config(config)

    def held(leaf: Any) -> Any:
        return made(leaf, _with_own(leaf, dtype)) if isinstance(leaf, Layer) else leaf

    return cls(**map_structure(held, config))


def _unshared(layer: Layer, dtype: DType) -> keras.layers.Layer:
    return make_layer(layer, dtype, _unshared)


def held_by(layer: Layer, made: keras.layers.Layer) -> list[tuple[Layer, keras.layers.Layer]]:
    """The layers that Keras copies when it makes a layer that holds them, beside the copies."""
    if not isinstance(layer, layers.Bidirectional):
        return []
    return [(layer.forward_layer, made.forward_layer), (layer.backward_layer, made.backward_layer)]


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
        if key.endswith("activation") and not _activates_right(getattr(layer, key, value)):
            return None
        held = [leaf for leaf in flatten(value) if isinstance(leaf, Layer)]
        if held:
            if not all(map(_has_keras_s, held)):
                return None
            config[key] = value
        elif key.endswith("initializer") and callable(value):
            of_keras = isinstance(value, keras.initializers.Initializer)
            made = value if of_keras else initializers.serialize(value)
            if made is not None:  # else it is lost; the weights are copied, so how they began is no matter
                config[key] = made
        elif key.endswith(("regularizer", "constraint")) or not callable(value):
            config[key] = _plain(value)
        elif value not in _ACTIVATION_NAMES:
            return None
        else:
            config[key] = _ACTIVATION_NAMES[value]
    return config


def _activates_right(activation: Any) -> bool:
    """Whether Keras computes an activation as it is meant, and finds its weights.

    Its sparsemax gives no probabilities (Keras 3.15), see dagir_keras.activation; a layer with weights in the place of
    an activation is not among a layer's weights.
    """
    if isinstance(activation, Layer):
        return not activation.weights
    name = activation.get("config") if isinstance(activation, dict) else activation
    return name not in ("sparsemax", ops.sparsemax)


def _has_keras_s(layer: Layer) -> bool:
    """Whether Keras has this layer, and all that its configuration says."""
    if isinstance(layer, Model):
        return True
    return _is_dagir_s(layer) and hasattr(keras.layers, type(layer).__name__) and _config(layer) is not None


def _is_dagir_s(layer: Layer) -> bool:
    """Whether a layer's class is one of dagir's, and none that bears such a name."""
    return vars(layers).get(type(layer).__name__) is type(layer)


def _plain(value: Any) -> Any:
    """A dtype by its name and an array as lists: the only forms that every from_config of Keras takes."""
    if isinstance(value, DType):
        return str(value)
    return value.tolist() if isinstance(value, np.ndarray) else value
