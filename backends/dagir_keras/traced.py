"""TracedLayer: a Keras layer that runs a graph. What a custom layer of dagir becomes, and an op that holds a weight."""

from __future__ import annotations

from typing import Any

import keras

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

    def build(self, *shapes: Any) -> None:
        """Nothing: the Program holds the weights."""

    def call(self, *tensors: Any) -> Any:
        """The outputs of the graph: one tensor, or a list."""
        outputs = self._program(tensors)
        return outputs[0] if len(outputs) == 1 else outputs
