"""TracedLayer: a Keras layer that runs a graph. What a custom layer of dagir becomes, and an op that holds a weight."""

from __future__ import annotations

from typing import Any

import keras

from dagir.graph import Graph, Value
from dagir_keras.program import Program


class TracedLayer(keras.layers.Layer):
    """Runs a Program on its inputs; the Program's variables and layers are this layer's."""

    def __init__(self, program: Program, name: str | None = None) -> None:
        super().__init__(name=name)
        self._program = program
        self.tracked = list(program.tracked)
        for place, item in enumerate(program.tracked):
            if isinstance(item, keras.Variable):
                setattr(self, f"variable_{place}", item)
        self.supports_masking = True
        self._masks = [self._mask_source(mask) for mask in program.masks]

    def _mask_source(self, mask: Value | None) -> int | Program | None:
        """Where the mask of an output comes from: none, that of an input (its place), or a computation."""
        inputs = self._program.graph.inputs
        if mask is None:
            return None
        for place, value in enumerate(inputs):
            if value.mask is mask:
                return place
        return Program(Graph(inputs, [mask]), self._program.registry, within=self._program.within, inside=True)

    def build(self, shapes: Any) -> None:
        """Nothing: the Program holds the weights."""

    def call(self, tensors: Any) -> Any:
        """The outputs of the graph for a list of tensors: one tensor, or a list."""
        outputs = self._program(tensors)
        return outputs[0] if len(outputs) == 1 else outputs

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The masks that the layer's outputs carry in dagir, and no other: what comes in need not go out."""
        found = [self._mask(source, inputs, previous_mask) for source in self._masks]
        return found[0] if len(found) == 1 else found

    def _mask(self, source: int | Program | None, inputs: Any, previous_mask: Any) -> Any:
        if isinstance(source, int):
            return previous_mask[source] if previous_mask is not None else None
        return source(inputs)[0] if source is not None else None
