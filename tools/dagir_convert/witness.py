"""Run the source itself, by Keras or onnxruntime, so that dagir's reading is compared with more than itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import dagir
from dagir.equivalence.certifying import RUNTIME_WITNESS, WITNESS, confirmation, of_the_file, require, takes_the_sizes
from dagir.errors import BackendError, FileError
from dagir.ir.nest import flatten
from dagir.ir.types import Array
from dagir.modeling.interface import Interface
from dagir.support.backend_names import KERAS, ONNX
from dagir_convert.errors import UsageError
from dagir_convert.sources import MODEL_FILES, Loaded


@dataclass(frozen=True)
class Witness:
    """An executable of the source, or the reason why there is none. missing: the reason; empty if there is an
    executable, if none is wanted, or if the source is nothing that Keras or onnxruntime can run. name: of its rows.
    """

    executable: dagir.Executable | None = None
    missing: str = ""
    name: str = WITNESS

    @property
    def by(self) -> str:
        """What runs the source."""
        return "onnxruntime" if self.name == RUNTIME_WITNESS else "Keras"

    def through(self, interface: Interface, model: dagir.Model, changed: dagir.Model) -> Witness:
        """The same, called with the names and layouts of `changed`. model: with those of the source."""
        if self.executable is None or not interface.changes:
            return self
        return replace(self, executable=_Adapted(self.executable, interface, model, changed))


class _Adapted(dagir.Executable):
    """Runs the source with feeds of another interface: it transposes them back, and calls them by the old names."""

    def __init__(self, inner: dagir.Executable, interface: Interface, model: dagir.Model, changed: dagir.Model) -> None:
        super().__init__(changed.graph, changed.signature)
        self.artifact = inner.artifact
        self._inner, self._interface, self._model = inner, interface, model

    def _run(self, arrays: Sequence[Array]) -> Sequence[Array]:
        feeds = self._interface.old_feeds(self._model, arrays)
        answer = self._inner(dict(zip(self._model.input_names, map(np.ascontiguousarray, feeds), strict=True)))
        found: list[Array] = flatten(answer)
        return found


def witness(loaded: Loaded, model: dagir.Model, wanted: bool | None, is_part: bool = False) -> Witness:
    """The witness of a source; `model` is the model to convert, read from it.

    wanted: if None, only a Keras model in memory is run, not a file, since Keras would have to be imported. This never
    depends on the time that something takes, so that every machine decides the same. is_part: whether `model` is only a
    part of the source. Raises UsageError if it is wanted and not possible, FileError, BackendError.
    """
    original = loaded.original
    if isinstance(original, Path) and MODEL_FILES.get(original.suffix) == ONNX:
        original = None
    if wanted is False:
        return Witness()
    if original is None:
        if wanted:
            raise UsageError(
                "--with-keras is for what Keras runs: a .keras, .h5 or .hdf5 file, a Keras model in file.py:name",
                remedy="leave it out: the file that is written is compared with the model all the same",
            )
        return Witness()
    if is_part:
        return Witness(missing="it runs whole models, and this is a part")
    if not takes_the_sizes(loaded.model, model):
        if wanted:
            raise UsageError(
                "--input frees sizes that the model in Keras has fixed, so Keras cannot run it at others",
                remedy="leave out --with-keras, or --input",
            )
        return Witness(missing="--input changes sizes that are fixed there")
    if not wanted and isinstance(original, Path):
        return Witness(missing="--with-keras has it run the file too")
    try:
        return Witness(dagir.backend(KERAS).open(original, model))
    except FileError as error:
        error.remedy = error.remedy or "leave out --with-keras: dagir reads the file without Keras"
        raise


def runtime_witness(loaded: Loaded, model: dagir.Model, is_part: bool) -> Witness:
    """The same for an .onnx file, which onnxruntime runs: it is there, and takes no time to start.

    Kernels of integers that saturate, as some CPUs have them, do not compute what the file says, and witness nothing.
    """
    if is_part:
        return Witness(missing="it runs whole models, and this is a part", name=RUNTIME_WITNESS)
    if not takes_the_sizes(loaded.model, model):
        return Witness(missing="--input changes sizes that are fixed there", name=RUNTIME_WITNESS)
    try:
        exe = dagir.backend(ONNX).open(loaded.original, model)
        exact = exe.without_saturation()
        return Witness(exe if exact is None else exact[0], name=RUNTIME_WITNESS)
    except BackendError as error:  # it lacks a kernel
        return Witness(missing=error.summary, name=RUNTIME_WITNESS)


__all__ = ["Witness", "confirmation", "of_the_file", "require", "runtime_witness", "witness"]
