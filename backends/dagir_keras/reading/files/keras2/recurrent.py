"""Recurrent layers of Keras 2 with the time on the first axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dagir import layers, ops
from dagir.ir.graph import Value
from dagir.ir.nest import flatten, map_structure
from dagir.layers import Layer
from dagir_keras.reading.layer_calls import call_layer


def time_first(layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call a recurrent layer whose sequences have the time on the first axis and the batch on the second."""
    sequences, *states = args
    if "mask" in kwargs:
        kwargs = {**kwargs, "mask": _swapped(kwargs["mask"])}
    found = flatten(call_layer(layer, [_swapped(sequences), *states], kwargs))
    returns: Any = layer
    if returns.return_sequences:
        count = 2 if isinstance(layer, layers.Bidirectional) and layer.merge_mode is None else 1
        found[:count] = map(_swapped, found[:count])
    return found[0] if len(found) == 1 else found


def _swapped(value: Any) -> Any:
    """The value with its first two axes exchanged, and its mask's."""
    return map_structure(_swap, value)


def _swap(leaf: Any) -> Any:
    if not isinstance(leaf, Value):
        return leaf
    made = ops.swapaxes(leaf, 0, 1)
    if leaf.mask is not None:
        made.attach_mask(ops.swapaxes(leaf.mask, 0, 1))
    return made
