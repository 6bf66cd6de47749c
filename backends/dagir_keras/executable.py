"""KerasExecutable: the keras.Model of a dagir model, and the weights between the two."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from dagir.backend import Executable, graph_of, signature
from dagir.errors import BackendError, FileError
from dagir.graph import Graph
from dagir.model import Model
from dagir.structure import flatten_like, pack
from dagir.types import Array
from dagir_keras.program import Registry, functional
from dagir_keras.traced import TracedLayer


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

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
        """Write a .keras file and return its path. Raises FileError, BackendError for what Keras cannot save."""
        if Path(path).exists() and not overwrite:
            raise FileError(f"{path} exists", remedy="choose another path, or pass overwrite=True")
        try:
            self.artifact.save(path)
        except OSError as error:
            raise FileError(f"cannot write {path}: {error.strerror or error}") from error
        except NotImplementedError as error:
            traced = [layer.name for layer in self.artifact._flatten_layers() if isinstance(layer, TracedLayer)]
            raise BackendError(
                f"Keras cannot save what is no Keras layer: {', '.join(traced) or str(error).strip()}",
                remedy="write a .dagir or an .onnx file",
            ) from error
        return Path(path)

    def _run(self, arrays: Sequence[Array]) -> list[Array]:
        outputs = self.artifact(pack(self.signature.input_structure, arrays), training=False)
        leaves = flatten_like(self.signature.output_structure, outputs)
        return [np.asarray(keras.ops.convert_to_numpy(leaf)) for leaf in leaves]
