"""Which dagir layers Keras has, and how a Keras layer is made from one: by its configuration."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeAlias

import keras
import numpy as np

from dagir import initializers, layers, ops
from dagir.ir.graph import Value
from dagir.ir.nest import flatten, map_structure
from dagir.ir.traversal import reached
from dagir.ir.types import DType, Equations
from dagir.layers import Layer
from dagir.layers.activation import name_of
from dagir.layers.internals import parts_of
from dagir.modeling.model import Model
from dagir.support.location import LayerCall
from dagir_keras.elementwise import is_read_as_bias
from dagir_keras.engine import ON_TENSORFLOW
from dagir_keras.names import scope_name
from dagir_keras.pool import reaches_outside
from dagir_keras.reading import applications

KerasLayerOf: TypeAlias = Callable[[Layer, DType], keras.layers.Layer]

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
    if not isinstance(layer, Layer) or _class_in_keras(layer) is None:
        return False
    if isinstance(layer, layers.Lambda):
        return False  # its function is of dagir; Keras gets what it computed
    if not _computes_right(call):
        return False
    dense = [each for each in (layer, *layer._sublayers) if isinstance(each, layers.EinsumDense)]
    return all(map(_has_plain_bias, dense)) and _keras_has(layer)


def _computes_right(call: LayerCall) -> bool:
    """Whether Keras's layer of that name gives the values and dtypes of a call; the exceptions are faults of Keras."""
    layer = call.layer
    assert isinstance(layer, Layer)
    if computes_in(call) is DType.FLOAT64 and any(map(_rounds_to_float32, _with_held(layer))):
        return False
    if isinstance(layer, (layers.Add, layers.Average)) and not _adds_right(call):
        return False
    if isinstance(layer, layers.RandomCrop) and _first_value(call).dtype is not layer.dtype:
        return False  # Keras declares the layer's dtype, and yields the images as they are
    if isinstance(layer, (layers.MultiHeadAttention, layers.GroupQueryAttention)) and not _attends_right(call, layer):
        return False
    adaptive = type(layer).__name__.startswith("Adaptive")
    return not (adaptive and reaches_outside(layer, _first_value(call).type.shape))


def misstates_dtype(layer: object) -> bool:
    """Whether Keras declares another dtype for a layer's result than it yields: a lookup declares floats for counts."""
    return isinstance(layer, (layers.IntegerLookup, layers.StringLookup)) and layer.output_mode != "int"


def _attends_right(call: LayerCall, layer: Layer) -> bool:
    """Whether Keras's attention layer gives the shapes and digits that it should.

    In float64 it scales by a float32 number. For the scores of MultiHeadAttention it declares a shape with as many
    steps of the key as the query has.
    """
    if layer.dtype is DType.FLOAT64:
        return False
    outputs = flatten(call.outputs)
    square = len(outputs) == 1 or outputs[1].shape[-1] == outputs[1].shape[-2]
    return square or isinstance(layer, layers.GroupQueryAttention)


def _has_plain_bias(layer: layers.EinsumDense) -> bool:
    """Whether keras.ops.add adds the bias along the right axis: see dagir_keras.elementwise.add."""
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
    found = reached([layer], lambda each: [] if isinstance(each, Model) else parts_of(each))
    return (each for each in found if not isinstance(each, Model))


def _rounds_to_float32(layer: Layer) -> bool:
    """Whether Keras on TensorFlow computes a float64 layer with some numbers in float32, or resizes in float32."""
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
    """The dtype that the Keras layer of a call must have: Keras casts the inputs of a layer to its dtype.

    A layer of dagir without weights computes in the dtype of its values, so its result tells the dtype.
    """
    layer = call.layer
    assert isinstance(layer, Layer)
    results = [value.dtype for value in flatten(call.outputs) if isinstance(value, Value)]
    return _dtype_with(layer, next((dtype for dtype in results if dtype.is_float), layer.dtype))


def _dtype_with(layer: Layer, dtype: DType) -> DType:
    return layer.dtype if layer._weights else dtype


def make_layer(layer: Layer, dtype: DType, keras_layer_of: KerasLayerOf, name: str | None = None) -> keras.layers.Layer:
    """The Keras layer with the same configuration, but for the dtype; its weights are assigned once it is built.

    keras_layer_of: gives the Keras layer of a layer that this one contains. name: in place of the layer's own.
    """
    config = _config(layer)
    assert config is not None
    config |= {"dtype": str(dtype), "name": scope_name(name or layer.name)}
    cls: Any = _class_in_keras(layer)
    config = _as_taken(config, cls, layer)
    if isinstance(layer, layers.Bidirectional):
        keras_layer_of = _new_layer  # Keras copies them
    if not any(isinstance(leaf, Layer) for leaf in flatten(config)):
        return cls.from_config(config)

    def inner_layer(leaf: Any) -> Any:
        return keras_layer_of(leaf, _dtype_with(leaf, dtype)) if isinstance(leaf, Layer) else leaf

    return cls(**map_structure(inner_layer, config))


def _as_taken(config: dict[str, Any], cls: type, layer: Layer) -> dict[str, Any]:
    """The configuration without defaults for which an older Keras has no argument."""
    makes: list[Callable[..., Any]] = [cls.__init__, type(layer).__init__]  # type: ignore[misc]
    theirs, ours = (inspect.signature(each).parameters for each in makes)
    defaults = {key: parameter.default for key, parameter in ours.items() if key not in theirs}
    return {key: part for key, part in config.items() if key not in defaults or part != defaults[key]}


def _new_layer(layer: Layer, dtype: DType) -> keras.layers.Layer:
    return make_layer(layer, dtype, _new_layer)


def copied_layers(layer: Layer, keras_layer: keras.layers.Layer) -> list[tuple[Layer, keras.layers.Layer]]:
    """The layers inside a layer that Keras copied when it made the Keras layer, each beside its copy."""
    if not isinstance(layer, layers.Bidirectional):
        return []
    return [(layer.forward_layer, keras_layer.forward_layer), (layer.backward_layer, keras_layer.backward_layer)]


@contextmanager
def initialized_with_zeros(layer: keras.layers.Layer) -> Iterator[None]:
    """Within it, a layer that is built gets weights of zeros.

    Their numbers are assigned afterwards; random ones would cost twice their memory, and most of the time.
    """
    initializers_before = [
        (inner, name, initializer)
        for inner in ([] if layer.built else layer._flatten_layers())
        for name, initializer in vars(inner).items()
        if name.endswith("_initializer") and initializer is not None
    ]
    for inner, name, _ in initializers_before:
        setattr(inner, name, keras.initializers.Zeros())
    try:
        yield
    finally:
        for inner, name, initializer in initializers_before:
            setattr(inner, name, initializer)


def _config(layer: Layer) -> dict[str, Any] | None:
    """The layer's configuration as Keras takes it; None where it holds a function that Keras has no name for."""
    config: dict[str, Any] = {}
    for key, value in layer.get_config().items():
        if key in layer.set_by_readers:  # what Keras's layer does anyway
            continue
        if key.endswith("activation") and not _activates_right(getattr(layer, key, value)):
            return None
        inner_layers = [leaf for leaf in flatten(value) if isinstance(leaf, Layer)]
        if inner_layers:
            if not all(map(_keras_has, inner_layers)):
                return None
            config[key] = value
        elif key.endswith("initializer") and callable(value):
            of_keras = isinstance(value, keras.initializers.Initializer)
            initializer = value if of_keras else initializers.serialize(value)
            if initializer is not None:  # without it Keras uses its default; the weights are assigned anyway
                config[key] = initializer
        elif key.endswith(("regularizer", "constraint")) or not callable(value):
            config[key] = _plain(value)
        elif value not in _ACTIVATION_NAMES:
            return None
        else:
            config[key] = _ACTIVATION_NAMES[value]
    return config


def _activates_right(activation: Any) -> bool:
    """Whether Keras computes an activation right, and tracks its weights.

    Keras's sparsemax does not give probabilities (Keras 3.15), see dagir_keras.activation. Keras does not track the
    weights of a layer that is used as an activation.
    """
    if isinstance(activation, Layer):
        return not activation.weights
    name = activation.get("config") if isinstance(activation, dict) else activation
    return name not in ("sparsemax", ops.sparsemax)


def _keras_has(layer: Layer) -> bool:
    """Whether Keras has a layer of this class that takes the whole configuration."""
    if isinstance(layer, Model):
        return True
    if isinstance(layer, (layers.IntegerLookup, layers.StringLookup)) and not ON_TENSORFLOW:
        return False  # they are written with TensorFlow, whatever Keras computes with
    return _class_in_keras(layer) is not None and _config(layer) is not None


_OF_APPLICATIONS = {
    applications.LayerScale: "convnext",
    applications.StochasticDepth: "convnext",
    applications.CustomScaleLayer: "inception_resnet_v2",
}


def _class_in_keras(layer: Layer) -> type[keras.layers.Layer] | None:
    """Keras's class for a layer of dagir, if it has one; those of keras.applications are not public."""
    if type(layer) in _OF_APPLICATIONS:
        module = import_module(f"keras.src.applications.{_OF_APPLICATIONS[type(layer)]}")
        return getattr(module, type(layer).__name__, None)
    return getattr(keras.layers, type(layer).__name__, None) if _is_of_dagir(layer) else None


def _is_of_dagir(layer: Layer) -> bool:
    """Whether a layer's class is one of dagir.layers, not only one of the same name."""
    return vars(layers).get(type(layer).__name__) is type(layer)


def _plain(value: Any) -> Any:
    """A dtype by its name and an array as lists: the only forms that every from_config of Keras takes."""
    if isinstance(value, DType):
        return str(value)
    return value.tolist() if isinstance(value, np.ndarray) else value
