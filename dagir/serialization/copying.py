"""Copies of models and layers, for `copy` and `pickle`: a model as the document that a file holds, a layer alone as its
class, its configuration and its weights. Within one model, what was shared is shared in the copy.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from dagir.errors import ArgumentError
from dagir.ir.arrays import frozen
from dagir.ir.dims import SymbolicDim
from dagir.ir.graph import Value
from dagir.ir.nest import map_structure
from dagir.ir.types import Array
from dagir.layers import Input, Layer
from dagir.layers.checking import is_own
from dagir.layers.internals import (
    arguments_of,
    build_from,
    given_build_shapes,
    own_weights,
    parts_of,
    set_own_trainable,
)
from dagir.modeling.model import Model
from dagir.modeling.sequential import Sequential
from dagir.serialization.collecting import Collection
from dagir.serialization.loading import Reader
from dagir.serialization.opaque import OpaqueLayer
from dagir.serialization.reading import Place, Record, parse_json
from dagir.serialization.saving import Writer

Parts: TypeAlias = tuple[str, dict[str, Array], dict[str, type[Layer]]]
State: TypeAlias = tuple[str, bool, Any, list[tuple[str, bool, Array]], list[Any]]


def copied_model(model: Model, memo: dict[int, object]) -> Model:
    """A copy of the model with its own layers and weights; the weights have the same numbers. Raises FileError."""
    parts, (text, tensors, classes) = _parts_of(model)
    reader = _reader(text, tensors, classes)
    found = reader.model()
    memo.update((id(old), new) for old, new in zip(parts.layers, reader.layers.made, strict=True))
    memo.update((id(old), new) for old, new in zip(parts.parameters, reader.parameters, strict=True))
    return found


def reduced_model(model: Model) -> tuple[object, Parts]:
    """For pickle: a model as its document, its arrays and the classes of its custom layers. Raises FileError."""
    return model_of_parts, _parts_of(model)[1]


def model_of_parts(text: str, tensors: Mapping[str, Array], classes: Mapping[str, type[Layer]]) -> Model:
    """The model that `reduced_model` took apart."""
    return _reader(text, {name: frozen(array) for name, array in tensors.items()}, classes).model()


def _parts_of(model: Model) -> tuple[Collection, Parts]:
    parts = Collection(model)
    writer = Writer(parts, f"the copy of model {model.name!r}")
    document = {"model": parts.layers[model], **writer.training(model), **writer.document()}
    custom = {
        writer.class_names[type(layer)]: type(layer)
        for layer, record in zip(parts.layers, document["layers"], strict=True)
        if record["kind"] == "custom" and record.get("config") is not None and not is_own(type(layer))
    }
    return parts, (json.dumps(document), writer.tensors, custom)


def _reader(text: str, tensors: dict[str, Array], classes: Mapping[str, type[Layer]]) -> Reader:
    place = Place("the copy")
    return Reader(Record(parse_json(text, place), place), tensors, classes, checksums=False)


# ---- single layers, and subclassed models


def reduced_layer(layer: Layer) -> tuple[Any, tuple[Any, ...]]:
    """For pickle: a layer as its configuration, inputs and state. Raises ArgumentError."""
    if isinstance(layer, OpaqueLayer):
        raise ArgumentError(
            f"layer {layer.name!r} was loaded without its class {layer.class_name}, so it cannot be copied alone",
            remedy=f"copy the model, or dagir.load(path, custom_objects={{{layer.class_name!r}: {layer.class_name}}})",
        )
    inputs = map_structure(_spec, layer.input) if isinstance(layer, Model) and layer.built else None
    return layer_of_parts, (*_making(layer), inputs, _state_of(layer))


def layer_of_parts(make: Any, config: Any, inputs: Any, state: State) -> Layer:
    """The layer that `reduced_layer` took apart."""
    made: Layer = make(config) if inspect.ismethod(make) else make(**config)
    if inputs is not None:
        made(map_structure(lambda spec: Input(**spec.arguments), inputs))
    _restore(made, state)
    return made


def _making(layer: Layer) -> tuple[object, dict[str, object]]:
    cls = type(layer)
    if isinstance(layer, Sequential) and cls is Sequential:
        return cls, {"layers": layer.layers, "name": layer.name}
    if cls.get_config in (Layer.get_config, Model.get_config) and not cls.set_by_readers:
        return cls, {**arguments_of(layer), "name": layer.name}
    return cls.from_config, layer.get_config()


class _Spec:
    """The arguments of an Input like that of a model; not a dict, which would be a structure of inputs."""

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments


def _spec(value: Value) -> _Spec:
    shape = [str(size) if isinstance(size, SymbolicDim) else size for size in value.type.shape]
    return _Spec(batch_shape=shape, dtype=str(value.dtype), name=value.name)


def _state_of(layer: Layer) -> State:
    weights = [(weight.name, weight.trainable, weight.array) for weight in own_weights(layer)]
    build = given_build_shapes(layer)
    return layer.name, layer.trainable, build, weights, [_state_of(inner) for inner in parts_of(layer)]


def _restore(layer: Layer, state: State) -> None:
    name, trainable, build, weights, inner = state
    if build is not None and not layer.built:
        build_from(layer, build)
        layer.built = True
    own_parts = parts_of(layer)
    if len(own_weights(layer)) != len(weights) or len(own_parts) != len(inner):
        raise ArgumentError(
            f"layer {name!r} cannot be copied: {type(layer).__name__} made from its configuration has "
            f"{len(own_weights(layer))} weights and {len(own_parts)} layers inside, it had {len(weights)} and "
            f"{len(inner)}",
            remedy="make weights in build, and let get_config return every argument of __init__",
        )
    layer.name = name
    set_own_trainable(layer, trainable)
    for weight, (own, trains, array) in zip(own_weights(layer), weights, strict=True):
        weight.name, weight.trainable = own, trains
        weight.assign(array)
    for each, known in zip(own_parts, inner, strict=True):
        _restore(each, known)
