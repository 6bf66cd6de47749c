"""TracedKerasLayer: the layer for a Keras layer that dagir does not have, such as one that a user wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from dagir import ops
from dagir.errors import ArgumentError, UnsupportedLayer
from dagir.ir.dims import SymbolicDim
from dagir.ir.graph import Value
from dagir.ir.nest import flatten, flatten_sorted, pack
from dagir.ir.operands import as_value
from dagir.layers import Layer
from dagir.layers.masks import given_masks
from dagir_keras.reading.live.introspection import dtype_of, foreign_variables
from dagir_keras.reading.live.keras_internals import layers_inside
from dagir_keras.reading.live.reader import Reader
from dagir_keras.reading.live.tensorflow_functions import own_variable
from dagir_keras.reading.problems import Refused


class TracedKerasLayer(Layer):
    """A layer that traces the `call` of a Keras layer. It has its name, its results and its weights."""

    def __init__(self, source: Any, reader: Reader, path: str) -> None:
        options = {"trainable": source.trainable, "autocast": source.autocast}
        super().__init__(name=source.name, dtype=str(dtype_of(source)), **options)
        self.source, self.reader, self.where = source, reader, path
        self.supports_masking = bool(source.supports_masking)
        self._given: Any = None  # what the last call gave

    def check_dtype(self, inputs: Any) -> None:
        """Accept all: the call decides."""

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The values that the call of the Keras layer gives for these."""
        reader = self.reader
        before = reader.problems.count
        try:
            outputs = reader.trace(self.source, self.where or self.name, args, kwargs)
        except Refused as refused:
            raise UnsupportedLayer(refused.reason, remedy=refused.remedy) from None
        if not self.where and reader.problems.count > before:  # called by the user, after everything was read
            reader.problems.require_none(f"layer {self.name!r}")
        self._given = outputs
        outputs = tensors_of(outputs)
        if not self.where:
            reader.assign()
        self._take_weights(outputs)
        return outputs

    def restored(self, tensors: Any) -> Any:
        """What the last call gave in full, where `tensors` is what it gave as a layer of dagir: sizes stay sizes."""
        found = iter(flatten(tensors))
        pairs = [(leaf, next(found) if _as_tensor(leaf) is not None else None) for leaf in flatten(self._given)]
        return pack(self._given, [new if isinstance(leaf, (Value, np.ndarray)) else leaf for leaf, new in pairs])

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Raises ArgumentError: the layer of Keras whose call is traced is part of no configuration."""
        raise ArgumentError(
            f"layer {config.get('name')!r} is traced from one of Keras, and cannot be made anew from a configuration",
            remedy="copy.deepcopy(model) keeps what it computes, and so does model.save(path)",
        )

    def _shapes_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        return {"input_shape": None}

    def _called(self) -> Any:
        return type(self.source).call

    def _context(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        given = {key: part for key, part in kwargs.items() if key != "training"}
        return {**given, **given_masks(self, args, given)}

    def _take_weights(self, outputs: Any) -> None:
        """The weights that it reads itself are its own; those of the layers inside are theirs."""
        read = [*self.source.variables, *map(own_variable, foreign_variables(self.source))]
        for weight in self.reader.traced_weights(read):
            if all(weight is not known for known in self._weights):
                self._weights.append(weight)
        for inner in layers_inside(self.source, nested=False):
            layer = self.reader.layer_so_far(inner)
            if layer is not None:
                self._track(layer)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask by the Keras layer; its compute_mask is traced where its class defines one."""
        if type(self.source).compute_mask is keras.layers.Layer.compute_mask:
            return mask if self.supports_masking else None
        return self.reader.run(self.source, self.where or self.name, self.source.compute_mask, [inputs, mask], {})


class TracedCell(TracedKerasLayer):
    """A cell that a user wrote, for dagir's RNN."""

    @property
    def state_size(self) -> Any:
        """The size of the state, or a list of those of each."""
        return _plain(self.source.state_size)

    @property
    def output_size(self) -> int | None:
        """The size of the output, if the cell has it."""
        found: int | None = getattr(self.source, "output_size", None)
        return found

    def get_initial_state(self, batch_size: Any = None) -> Any:
        """The initial state: zeros, or what the cell gives."""
        make = getattr(self.source, "get_initial_state", None)
        if make is None:
            return [ops.zeros((batch_size, size), self.dtype) for size in flatten(self.state_size)]
        try:
            return self.reader.run(self.source, self.where or self.name, make, [], {"batch_size": batch_size})
        except Refused as refused:
            raise UnsupportedLayer(refused.reason, remedy=refused.remedy) from None


def outputs_beside(tensors: Sequence[Any], layer: Layer, outputs: Any) -> list[Any]:
    """The outputs of a layer, one for each tensor of Keras; None where its call gives None, which its readers get."""
    found = flatten_sorted(outputs)
    if len(found) == len(tensors) or not isinstance(layer, TracedKerasLayer):
        return found
    return flatten_sorted(layer.restored(outputs))


def tensors_of(outputs: Any) -> Any:
    """What a call returns as values, in its structure; None and numbers beside them are left out: no graph holds them.

    Raises UnsupportedLayer where no tensor is left.
    """
    leaves = flatten(outputs)
    values = [_as_tensor(leaf) for leaf in leaves]
    if leaves and all(value is not None for value in values):
        return pack(outputs, values)
    if not any(value is not None for value in values):
        kinds = ", ".join(type(leaf).__name__ for leaf in leaves) or "nothing"
        raise UnsupportedLayer(f"its call returns {kinds}, no tensor")
    return _without_others(outputs)


def _without_others(outputs: Any) -> Any:
    if isinstance(outputs, dict):
        parts = {key: _without_others(part) for key, part in outputs.items()}
        return {key: part for key, part in parts.items() if flatten(part) not in ([], [None])}
    if not isinstance(outputs, (list, tuple)):
        return _as_tensor(outputs)
    rows = [part for part in map(_without_others, outputs) if flatten(part) not in ([], [None])]
    return rows[0] if len(rows) == 1 else rows if isinstance(outputs, list) else tuple(rows)


def _as_tensor(leaf: Any) -> Value | None:
    """A leaf of what a call returns as a value: a tensor, a constant, a size; None for what is no tensor."""
    if isinstance(leaf, (Value, np.ndarray)):
        return as_value(leaf)
    return ops.convert_to_tensor(leaf) if isinstance(leaf, SymbolicDim) else None


def _plain(size: Any) -> Any:
    """Keras keeps lists of its own."""
    return [_plain(part) for part in size] if isinstance(size, (list, tuple)) else size


def make_traced_layer(source: Any, reader: Reader, path: str) -> TracedKerasLayer:
    """The traced layer for a Keras layer: a TracedCell if it has the size of a state."""
    cell = getattr(source, "state_size", None) is not None and not isinstance(source, keras.layers.RNN)
    return (TracedCell if cell else TracedKerasLayer)(source, reader, path)
