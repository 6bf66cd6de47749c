"""TracedKerasLayer: the layer for a Keras layer that dagir does not have, such as one that a user wrote."""

from __future__ import annotations

from typing import Any

import keras

from dagir import ops
from dagir.errors import UnsupportedLayer
from dagir.ir.graph import Value
from dagir.ir.nest import flatten
from dagir.layers import Layer
from dagir.layers.masks import given_masks
from dagir_keras.reading.live.introspection import dtype_of
from dagir_keras.reading.live.reader import Reader
from dagir_keras.reading.problems import Refused


class TracedKerasLayer(Layer):
    """A layer that traces the `call` of a Keras layer. It has its name, its results and its weights."""

    def __init__(self, source: Any, reader: Reader, path: str) -> None:
        options = {"trainable": source.trainable, "autocast": source.autocast}
        super().__init__(name=source.name, dtype=str(dtype_of(source)), **options)
        self.source, self.reader, self.where = source, reader, path
        self.supports_masking = bool(source.supports_masking)

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
        for leaf in flatten(outputs):
            if not isinstance(leaf, Value):
                raise UnsupportedLayer(f"its call returns {type(leaf).__name__}, no tensor")
        if not self.where:
            reader.assign()
        self._take_weights(outputs)
        return outputs

    def _shapes_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        return {"input_shape": None}

    def _called(self) -> Any:
        return type(self.source).call

    def _context(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        given = {key: part for key, part in kwargs.items() if key != "training"}
        return {**given, **given_masks(self, args, given)}

    def _take_weights(self, outputs: Any) -> None:
        """Own the weights that the call itself read; those of layers inside belong to these layers."""
        for weight in self.reader.traced_weights(self.source.variables):
            if all(weight is not known for known in self._weights):
                self._weights.append(weight)
        for inner in self.source._flatten_layers(include_self=False, recursive=False):
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


def _plain(size: Any) -> Any:
    """Keras keeps lists of its own."""
    return [_plain(part) for part in size] if isinstance(size, (list, tuple)) else size


def make_traced_layer(source: Any, reader: Reader, path: str) -> TracedKerasLayer:
    """The traced layer for a Keras layer: a TracedCell if it has the size of a state."""
    cell = getattr(source, "state_size", None) is not None and not isinstance(source, keras.layers.RNN)
    return (TracedCell if cell else TracedKerasLayer)(source, reader, path)
