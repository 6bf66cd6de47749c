"""Calls with other masks in older versions of Keras: the layers are called without masks, and get the older ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.nest import flatten, map_structure
from dagir.layers import Layer
from dagir_keras.reading.files.keras2.recurrent import time_first
from dagir_keras.reading.files.keras2.refusals import RESAVE
from dagir_keras.reading.files.keras2.writer import Writer
from dagir_keras.reading.layer_calls import call_layer
from dagir_keras.reading.problems import Refused

_KEY = "how it is called"
_ENDS_MASKS = {"Rescaling", "Normalization", "Identity"}
_RECURRENT = {
    *("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"),
    *("CuDNNLSTM", "CuDNNGRU"),
}
_OF_IMAGES = {
    *("Resizing", "CenterCrop", "RandomCrop", "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom"),
    *("RandomContrast", "RandomBrightness"),
}
_ENCODERS = ("CategoryEncoding", "Discretization")
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
    """A layer that passes masks on currently, but not in Keras 2, or not before 3.4."""
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


def _on_floats(layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Layers of images made floats of integers in Keras 2; Resizing keeps them currently."""
    return call_layer(layer, [_as_float(layer, args[0]), *args[1:]], kwargs)


def _cut_to_integers(layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Until 3.6, Resizing cut the fractions off, where integers are resized; currently it rounds."""
    made = _on_floats(layer, args, kwargs)
    given = args[0].dtype if isinstance(args[0], Value) else made.dtype
    return made if given.is_float else ops.cast(made, given)


def _as_float(layer: Layer, leaf: Any) -> Any:
    return leaf if not isinstance(leaf, Value) or leaf.dtype.is_float else ops.cast(leaf, layer.dtype)


def _one_more_axis(layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Until 3.4, a last axis of size 1 stayed before the one of the code; currently it is replaced."""
    made = call_layer(layer, args, kwargs)
    first = flatten(list(args))[0]
    alone = isinstance(first, Value) and first.ndim > 1 and first.shape[-1] == 1
    return ops.expand_dims(made, -2) if alone else made


def _ending_masks_of_lists(layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Keras 3 before 3.4 looked for a mask on the first argument itself, and a list has none."""
    if not args or isinstance(args[0], Value):
        return call_layer(layer, args, kwargs)
    return map_structure(_unmasked, call_layer(layer, args, kwargs))


def with_call_note(record: dict[str, Any], config: Mapping[str, Any], writer: Writer) -> dict[str, Any]:
    """The record, with a note of how its layer is called where that has changed."""
    kind = str(record.get("class_name"))
    how = _of_keras_2(kind, config) if writer.is_keras_2 else _of_keras_3(kind, config, writer)
    if how is None and kind == "MultiHeadAttention" and writer.before(2, 10):
        how = _without_masks
    return record if how is None else {**record, _KEY: how}


def _of_keras_2(kind: str, config: Mapping[str, Any]) -> Any:
    if kind in _MERGES:
        axis = config.get("axis", -1) if kind == "Concatenate" else None
        return _WhereAllHold(axis if axis is None or type(axis) is int else -1)
    if kind in _ENDS_MASKS:
        return _ending_masks
    if kind in ("Attention", "AdditiveAttention") and config.get("causal"):
        return _causal
    if kind in _OF_IMAGES:
        return _on_floats
    inner = _inner_config(config) if kind == "Bidirectional" else config
    if inner.get("time_major"):
        return time_first
    return _masked_with_states if kind in _RECURRENT else None


def _of_keras_3(kind: str, config: Mapping[str, Any], writer: Writer) -> Any:
    if kind == "Resizing" and writer.before(3, 6):
        return _cut_to_integers
    if not writer.before(3, 4):
        return None
    if kind in _MERGES:
        return _ending_masks
    one_hot = kind in _ENCODERS and config.get("output_mode") == "one_hot"
    return _one_more_axis if one_hot else _ending_masks_of_lists


def check_caller(kind: str, config: Mapping[str, Any], inside: str) -> None:
    """Raise Refused for a layer that has time first and is called by another layer, which does not know that."""
    if config.get("time_major") and inside not in ("", "Bidirectional"):
        raise Refused(f"{kind} with time_major=True inside {inside} reads time from the first axis", RESAVE)


def _inner_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = config.get("layer")
    found = inner.get("config") if isinstance(inner, dict) else None
    return found if isinstance(found, dict) else {}


def call_as_written(record: Mapping[str, Any]) -> Callable[[Layer, Sequence[Any], Mapping[str, Any]], Any]:
    """The function that calls the layer of a record: the current call, or that of its version."""
    found = record.get(_KEY)
    return found if callable(found) else call_layer
