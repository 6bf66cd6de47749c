"""A given keras.Model or .keras file, run as it is."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

import dagir_keras.traced  # noqa: F401  # registers TracedLayer, which a file may hold
from dagir.errors import ArgumentError, FileError
from dagir.ir.graph import Graph
from dagir.ir.nest import flatten, flatten_like, pack
from dagir.ir.types import Array
from dagir.modeling.model import Model
from dagir.runtime.backend import Executable, Kept, graph_of, signature
from dagir.runtime.probes import points_of
from dagir.support.paths import checked
from dagir_keras import engine
from dagir_keras.executable import refused, with_weights
from dagir_keras.names import as_keras_has
from dagir_keras.node_by_node import NodeByNode
from dagir_keras.points import Watched, input_of
from dagir_keras.reading import check, read
from dagir_keras.reading.files.archive import HDF5, ZIP
from dagir_keras.saving import MODEL_FILE, how_to_run, keep


class KerasModel(Watched, Executable):
    """A given keras.Model, called with the inputs and outputs of the model that it is compared with."""

    def __init__(self, artifact: keras.Model, model: Model | Graph, title: str = "the Keras model") -> None:
        super().__init__(graph_of(model), signature(model))
        self.watched_graph = graph_of(model)
        self.artifact: keras.Model = artifact
        if not self._has_graph():
            return
        for what, wanted, found in (
            ("inputs", self.signature.inputs, artifact.inputs),
            ("outputs", self.signature.outputs, artifact.outputs),
        ):
            if len(wanted) != len(found):
                raise ArgumentError(f"{title} has {len(found)} {what}, the model has {len(wanted)}")

    def _has_graph(self) -> bool:
        """A subclassed model has no graph, nor has a Sequential that was never built."""
        return bool(getattr(self.artifact, "inputs", None))

    def points(self) -> Mapping[str, str]:
        """None where there is no graph of layers."""
        return super().points() if self._has_graph() else {}

    def node_by_node(self) -> Executable:
        """The nodes that dagir reads in it, by the rules of Keras."""
        return NodeByNode(points_of(self._read()), {}, with_weights)

    def _read(self) -> Model:
        return read(self.artifact)

    def keep(self, folder: Path) -> Kept | None:
        """A .keras file."""
        return keep(self.artifact, folder)

    def _run(self, arrays: Sequence[Array]) -> list[Array]:
        arrays = engine.held(self.signature.inputs, arrays)
        try:
            outputs = self.artifact(pack(self._input_structure(), arrays), training=False)
        except engine.RAISED as error:
            raise refused(error, self._graph) from error
        structure = self.signature.output_structure
        if isinstance(outputs, dict) and isinstance(structure, dict) and not outputs.keys() >= structure.keys():
            structure = as_keras_has(structure)  # the Keras model was made from such a one
        ordered = flatten_like(structure, outputs) if isinstance(structure, dict) else flatten(outputs)
        found = zip(ordered, self.signature.outputs, strict=True)
        return [engine.to_numpy(output, type) for output, (_, type) in found]

    def _input_structure(self) -> Any:
        """Its own structure; but a dict, which Keras sorts, in the order of the signature."""
        own = input_of(self.artifact) if self._has_graph() else None
        return self.signature.input_structure if own is None or isinstance(own, dict) else own


class KerasFile(KerasModel):
    """A keras.Model loaded from a file."""

    def __init__(self, path: str | os.PathLike[str], model: Model | Graph) -> None:
        self.path = Path(path)
        checked(self.path)
        if not self.path.is_file():
            raise FileError(f"there is no file {self.path}")
        check(str(self.path))
        try:
            artifact = _loaded(self.path)
        except Exception as error:  # any kind: layers raise what they like
            raise FileError(f"Keras does not load {self.path}: {str(error).splitlines()[0]}") from error
        super().__init__(artifact, model, str(self.path))

    def _read(self) -> Model:
        return read(str(self.path))

    def keep(self, folder: Path) -> Kept | None:
        """A copy of the file."""
        shutil.copyfile(self.path, folder / MODEL_FILE)
        return how_to_run()


def _loaded(path: Path) -> keras.Model:
    """The model of a file. Keras goes by the suffix, so content of the other kind is loaded under another name."""
    with path.open("rb") as file:
        begin = file.read(len(HDF5))
    wanted = (".h5", ".hdf5") if begin == HDF5 else (".keras",)
    if path.suffix in wanted or not begin.startswith((HDF5, ZIP)):
        return keras.models.load_model(path, compile=False)
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / f"model{wanted[0]}"
        shutil.copyfile(path, named)
        return keras.models.load_model(named, compile=False)
