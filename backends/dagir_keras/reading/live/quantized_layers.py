"""Live layers of Keras after `quantize`: what their configuration does not say, and their weights by name."""

from __future__ import annotations

from typing import Any

from dagir.errors import UnsupportedLayer
from dagir_keras.reading.live.introspection import array_of, is_layer_of_keras
from dagir_keras.reading.live.keras_internals import layers_inside
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.quantized import ADAPTER, Quantized


def quantized_record(record: dict[str, Any], source: Any) -> dict[str, Any]:
    """The record of a quantized layer, with its adapter, which a file has merged. Raises Refused."""
    if not is_layer_of_keras(source):
        raise Refused(
            f"{type(source).__name__} is quantized, and has a class of its own", "read it before model.quantize(...)"
        )
    mode = source.quantization_mode
    if mode in ("gptq", "awq") and not getattr(source, f"is_{mode}_calibrated", False):
        raise Refused(f"it is not calibrated, and computes without {mode} so far", "read it before, or after that")
    if not getattr(source, "lora_enabled", False):
        return record
    adapter = [source.lora_rank, float(source.lora_alpha)]
    return {**record, "config": {**record["config"], ADAPTER: adapter}}


def holds_quantized(source: Any) -> bool:
    """Whether a layer inside this one is quantized."""
    return any(inner.quantization_mode is not None for inner in layers_inside(source))


def assign_quantized(source: Any, made: Quantized) -> None:
    """Give the weights the arrays of Keras's variables of the same names. Raises UnsupportedLayer, FileError."""
    known = made.named_weights()
    for name in dict.fromkeys([*made.stored, *known]):
        variable = vars(source).get(f"_{name}", vars(source).get(name))  # `kernel` is a property that unpacks codes
        weight = known.get(name)
        if variable is None:
            raise UnsupportedLayer(f"layer {source.name!r} is quantized, and has no variable {name!r} in this Keras")
        array = array_of(variable)
        made.check(name, array, f"layer {source.name!r}")
        if weight is not None and weight.shape != array.shape:
            shapes = f"{list(array.shape)} in Keras, and {list(weight.shape)} is expected"
            raise UnsupportedLayer(f"layer {source.name!r} is quantized, and its {name!r} has shape {shapes}")
        if weight is not None:
            weight.assign(array)
