"""The records that a file would have of a model in memory, so that weights alone can be read into it."""

from __future__ import annotations

from typing import Any

from dagir.ir.graph import snake_case
from dagir.layers import Layer
from dagir.modeling.model import Model
from dagir.modeling.sequential import Sequential
from dagir_keras.reading.files.model_config import ReadModel


def as_read(model: Model) -> ReadModel:
    """A model as if it had been read from a file, its layers in Keras's order."""
    keys = _keys(model.layers)
    records = [{**record_of(layer), "name": key} for key, layer in keys.items()]
    record = {"class_name": _kind(model), "config": {"name": model.name, "layers": records}}
    nested = {key: as_read(layer) for key, layer in keys.items() if isinstance(layer, Model) and is_of_layers(layer)}
    return ReadModel(record, model, keys, nested)


def is_of_layers(layer: Layer) -> bool:
    """Whether Keras stores a layer as a model of layers in order: functional or Sequential, without its own call."""
    return isinstance(layer, Model) and layer.has_graph and not is_subclassed(layer)


def is_subclassed(model: Model) -> bool:
    """Whether a model has a call of its own: Keras stores it by its attributes, as a layer."""
    return not isinstance(model, Sequential) and type(model).call is not Model.call


def _keys(layers: list[Layer]) -> dict[str, Layer]:
    found: dict[str, Layer] = {}
    for layer in layers:
        key, number = layer.name, 1
        while key in found:
            key, number = f"{layer.name} ({number})", number + 1
        found[key] = layer
    return found


def _kind(model: Model) -> str:
    return "Sequential" if isinstance(model, Sequential) else "Functional"


def record_of(layer: Layer) -> dict[str, Any]:
    """The class of a layer, and the records of the layers inside it by their attributes."""
    if is_of_layers(layer):
        assert isinstance(layer, Model)
        inner = [record_of(each) for each in layer.layers]
        return {"class_name": _kind(layer), "config": {"layers": inner}}
    parts: dict[str, Any] = {}
    for name, part in parts_by_attribute(layer).items():
        parts[name] = [record_of(each) for each in part] if isinstance(part, list) else record_of(part)
    if "forward_layer" in parts:
        parts["layer"] = parts["forward_layer"]  # the key in the configuration of a Bidirectional
    return {"class_name": type(layer).__name__, "config": parts}


def parts_by_attribute(layer: Layer) -> dict[str, Layer | list[Layer]]:
    """The layers inside a layer by attribute, private ones last, which is the order of Keras."""
    found: dict[str, Layer | list[Layer]] = {}
    attributes = vars(layer)
    for name in sorted(attributes, key=lambda each: (each.startswith("_"), each)):
        part = attributes[name]
        if isinstance(part, Layer):
            found[name] = part
        elif isinstance(part, (list, tuple, dict)) and name not in ("_init_arguments", "_calls", "_sublayers"):
            listed = [each for each in (part.values() if isinstance(part, dict) else part) if isinstance(each, Layer)]
            if listed:
                found[name] = listed
    return found


def file_name(class_name: str) -> str:
    """The name of a class in a file of weights."""
    return snake_case(_CLASS_NAMES.get(class_name, class_name))


_CLASS_NAMES = {"GroupQueryAttention": "GroupedQueryAttention"}  # whose public name is another
