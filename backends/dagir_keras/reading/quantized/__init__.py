"""Layers of Keras after `model.quantize(...)`: int8, int4, float8, and the groups of GPTQ and AWQ.

They compute what Keras computes: the codes of the inputs from the largest number of each row, integer sums, and the
division by both scales, in this order. No Keras is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagir_keras.reading.problems import Refused
from dagir_keras.reading.quantized.base import GROUPS, Quantized
from dagir_keras.reading.quantized.embeddings import QuantizedEmbedding, QuantizedReversibleEmbedding
from dagir_keras.reading.quantized.projections import QuantizedDense, QuantizedEinsumDense
from dagir_keras.reading.quantized.schemes import is_quantized, scheme_of

ADAPTER = "adapter"
"""The key that a reader of live layers sets: the rank and the alpha of an adapter that is not merged."""

_CLASSES: dict[str, tuple[type[Quantized], tuple[str, ...]]] = {  # and the modes with codes of the inputs by default
    "Dense": (QuantizedDense, ("int8",)),
    "EinsumDense": (QuantizedEinsumDense, ("int8",)),
    "Embedding": (QuantizedEmbedding, ()),
    "ReversibleEmbedding": (QuantizedReversibleEmbedding, ("int8", "int4")),
}
_REPLACED = ("quantization_config", "dtype", "gptq_unpacked_column_size", "reverse_dtype", "weights")
_OF_TRAINING = ("_initializer", "_regularizer", "_constraint")


def quantized_class(name: str, config: Mapping[str, Any]) -> type[Quantized] | None:
    """The class for a quantized layer of Keras; None for one that is not quantized. Raises Refused."""
    if not is_quantized(config):
        return None
    if name not in _CLASSES:
        raise Refused(f"{name} is quantized", f"dagir reads quantized {', '.join(_CLASSES)}")
    return _CLASSES[name][0]


def own_arguments(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of that class that say how it is quantized. Raises Refused."""
    cls, codes_by_default = _CLASSES[name]
    scheme, dtype = scheme_of(config, codes_by_default)
    if scheme.mode not in cls.order:
        raise Refused(f"{name} is quantized to {scheme.mode}", f"{name} has {', '.join(cls.order)} in Keras")
    return {"dtype": None if dtype is None else str(dtype), "scheme": scheme.plain(), "adapter": config.get(ADAPTER)}


def without_quantization(config: Mapping[str, Any]) -> dict[str, Any]:
    """The rest of the configuration that the class takes."""
    return {k: v for k, v in config.items() if k not in (*_REPLACED, ADAPTER) and not k.endswith(_OF_TRAINING)}


__all__ = ["ADAPTER", "GROUPS", "Quantized", "own_arguments", "quantized_class", "without_quantization"]
