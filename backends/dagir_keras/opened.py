"""A .keras file that exists: run it as it stands."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

import dagir_keras.traced  # noqa: F401  # registers TracedLayer, which a file may hold
from dagir.backend import Executable, Kept, graph_of, signature
from dagir.errors import ArgumentError, FileError
from dagir.graph import Graph
from dagir.model import Model
from dagir.structure import flatten_like, pack
from dagir.types import Array
from dagir_keras.executable import refused, to_numpy
from dagir_keras.points import Watched
from dagir_keras.saving import KEPT, kept


class KerasFile(Watched, Executable):
    """A keras.Model loaded from a file, called with the inputs and outputs of the model it was made from."""

    def __init__(self, path: str | os.PathLike[str], model: Model | Graph) -> None:
        super().__init__(graph_of(model), signature(model))
        self.watched_graph = graph_of(model)
        self.path = Path(path)
        if not self.path.is_file():
            raise FileError(f"there is no file {self.path}")
        try:
            self.artifact: keras.Model = keras.models.load_model(self.path, compile=False)
        except Exception as error:  # Keras raises whatever its layers raise
            raise FileError(f"Keras does not load {self.path}: {str(error).splitlines()[0]}") from error
        wanted, found = len(self.signature.inputs), len(self.artifact.inputs)
        if wanted != found:
            raise ArgumentError(f"{self.path} has {found} inputs, the model has {wanted}")

    def keep(self, folder: Path) -> Kept | None:
        """A copy of the file."""
        shutil.copyfile(self.path, folder / KEPT)
        return kept()

    def _run(self, arrays: Sequence[Array]) -> list[Array]:
        try:
            outputs = self.artifact(pack(self.signature.input_structure, arrays), training=False)
        except tf.errors.OpError as error:
            raise refused(error, self._graph) from error
        ordered = flatten_like(self.signature.output_structure, outputs)
        return [to_numpy(output) for output in ordered]
