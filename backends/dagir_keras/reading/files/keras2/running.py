"""Calls with other masks in older versions of Keras: the layers are called without masks, and get the older ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.nest import flatten, map_structure
from dagir.layers import Layer
from dagir_keras.reading.files.keras2.writer import Writer
from dagir_keras.reading.layer_calls import call_layer
from dagir_keras.reading.problems import Refused

_KEY = "how it is called"
_ENDS_MASKS = {"Rescaling", "Normalization", "Identity"}
_RECURRENT = {
    *("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"),
    *("CuDNNLSTM", "CuDNNGRU"),
}
_MERGES = {"Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"}


class _WhereAllHold:
    """Masks of merged values: a position is valid where all masks are true; currently, where any is."""

    def __init__(self, axis: int | None) -> None:
        self.axis = axis  # that a Concatenate joins

    def __call__(self, layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        values = [leaf for leaf in flatten(list(args)) if isinstance(leaf, Value)]
        masks = [value.mask for value in values if value.mask is not None]
        if not masks:
            return call_layer(layer, args, kwargs)
        made = call_layer(layer, map_structure(_unmasked, list(args)), kwargs)
        made.attach_mask(self._joined(values, masks, made.ndim))
        return made

    def _joined(self, values: Sequence[Value], masks: Sequence[Value], ndim: int) -> Value:
        if any(mask.ndim != ndim - 1 for mask in masks):
            raise Refused("it merges values whose masks are not of their steps")
        if self.axis is not None and self.axis % ndim != ndim - 1:
            if len(masks) != len(values):
                raise Refused("it concatenates steps with masks to steps without")
            return ops.concatenate(list(masks), axis=self.axis % ndim)
        joined = masks[0]
        for mask in masks[1:]:
            joined = joined if mask is joined else ops.logical_and(joined, mask)
        return joined


def _unmasked(leaf: Any) -> Any:
    return ops.identity(leaf) if isinstance(leaf, Value) and leaf.mask is not None else leaf


def _ending_masks(layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A layer that passes masks on currently, but not in Keras 2."""
    return call_layer(layer, map_structure(_unmasked, list(args)), kwargs)


def _without_masks(layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    if any(isinstance(leaf, Value) and leaf.mask is not None for leaf in flatten([list(args), dict(kwargs)])):
        raise Refused(
            "its inputs carry masks, which Keras before 2.10 did not use here, and today's does",
            "give it an attention_mask, or end the mask before it",
        )
    return call_layer(layer, args, kwargs)


def _causal(layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Until 2.10, being causal was an argument of the layer."""
    return call_layer(layer, args, {**kwargs, "use_causal_mask": True})


def _masked_with_states(layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A recurrent layer, whose steps are masked beside an initial state too; currently they are only without one."""
    first = args[0] if args else None
    mask = first.mask if isinstance(first, Value) else None
    if mask is None or kwargs.get("mask") is not None:
        return call_layer(layer, args, kwargs)
    return call_layer(layer, args, {**kwargs, "mask": mask})


def _ending_masks_of_lists(layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Keras 3 before 3.4 looked for a mask on the first argument itself, and a list has none."""
    if not args or isinstance(args[0], Value):
        return call_layer(layer, args, kwargs)
    return map_structure(_unmasked, call_layer(layer, args, kwargs))


def _keeping_the_last_axis(layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """One vector for each id: until 3.4 an axis of one id stayed."""
    made = call_layer(layer, args, kwargs)
    return ops.expand_dims(made, -2) if isinstance(args[0], Value) and made.ndim == args[0].ndim else made


def with_call_note(record: dict[str, Any], config: Mapping[str, Any], writer: Writer) -> dict[str, Any]:
    """The record, with a note of how its layer is called where that has changed."""
    find = _how_in_keras_2 if writer.is_keras_2 else _how_in_keras_3
    how = find(str(record.get("class_name")), config, writer)
    return record if how is None else {**record, _KEY: how}


def _how_in_keras_2(kind: str, config: Mapping[str, Any], writer: Writer) -> Any:
    if kind in _MERGES:
        axis = config.get("axis", -1) if kind == "Concatenate" else None
        return _WhereAllHold(axis if axis is None or type(axis) is int else -1)
    if kind in _RECURRENT:
        return _masked_with_states
    if kind in _ENDS_MASKS:
        return _ending_masks
    if kind == "MultiHeadAttention" and writer.before(2, 10):
        return _without_masks
    return _causal if kind in ("Attention", "AdditiveAttention") and config.get("causal") else None


def _how_in_keras_3(kind: str, config: Mapping[str, Any], writer: Writer) -> Any:
    if not writer.before(3, 4):
        return None
    if kind in _MERGES:
        return _ending_masks
    one_hot = kind in ("CategoryEncoding", "Discretization") and config.get("output_mode") == "one_hot"
    return _keeping_the_last_axis if one_hot else _ending_masks_of_lists


def call_as_written(record: Mapping[str, Any]) -> Callable[[Layer, Sequence[Any], Mapping[str, Any]], Any]:
    """The function that calls the layer of a record: the current call, or that of its version."""
    found = record.get(_KEY)
    return found if callable(found) else call_layer
