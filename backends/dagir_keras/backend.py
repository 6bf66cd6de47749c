"""The Keras backend: a keras.Model of real layers that trains and saves as a Keras user expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from dagir.backend import Backend, Executable, graph_of, signature
from dagir.errors import ArgumentError, BackendError
from dagir.graph import Graph
from dagir.model import Model
from dagir.structure import flatten, pack
from dagir.types import Array
from dagir_keras.program import Registry, functional
from dagir_keras.rules import rules


class KerasExecutable(Executable):
    """A keras.Model; `.artifact` is it. After training, `pull` brings the weights back into the dagir model."""

    def __init__(self, model: Model | Graph) -> None:
        graph = graph_of(model)
        super().__init__(graph, signature(model))
        self.registry = Registry()
        self.artifact: keras.Model = functional(graph, self.signature, model.name, self.registry)
        if isinstance(model, Model) and not model.trainable:
            self.artifact.trainable = False
        self.push()

    def push(self) -> None:
        """Copy the weights of the dagir model into the Keras model."""
        for parameter, variable in self.registry.weights():
            variable.assign(parameter.array)

    def pull(self) -> None:
        """Copy the weights of the Keras model, trained perhaps, into the dagir model."""
        for parameter, variable in self.registry.weights():
            parameter.assign(np.asarray(variable))

    def _run(self, arrays: Sequence[Array]) -> list[Array]:
        outputs = self.artifact(pack(self.signature.input_structure, arrays), training=False)
        return [np.asarray(keras.ops.convert_to_numpy(output)) for output in flatten(outputs)]


class KerasBackend(Backend):
    """Trains: real Keras layers, shared layers shared, nested models nested."""

    name = "keras"
    rules = rules

    def lower(self, model: Model | Graph, **unknown: Any) -> KerasExecutable:
        """A functional keras.Model over the same layers, with the same weights. Raises UnsupportedOp."""
        if unknown:
            raise ArgumentError(f"the keras backend has no option {sorted(unknown)[0]!r}", remedy="it takes none")
        if keras.backend.backend() != "tensorflow":
            raise BackendError(
                f"Keras runs on {keras.backend.backend()}, and dagir lowers to tf.keras",
                remedy="set KERAS_BACKEND=tensorflow before Keras is imported",
            )
        return KerasExecutable(model)
