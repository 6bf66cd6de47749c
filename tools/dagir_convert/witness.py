"""Run the source itself, by Keras or onnxruntime, so that dagir's reading is compared with more than itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import dagir
from dagir.equivalence.certifying import RUNTIME_WITNESS, WITNESS, confirmation, of_the_file, require, takes_the_sizes
from dagir.errors import BackendError, FileError
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
    """The same for an .onnx file, which onnxruntime runs: it is there, and takes no time to start."""
    if is_part:
        return Witness(missing="it runs whole models, and this is a part", name=RUNTIME_WITNESS)
    if not takes_the_sizes(loaded.model, model):
        return Witness(missing="--input changes sizes that are fixed there", name=RUNTIME_WITNESS)
    try:
        return Witness(dagir.backend(ONNX).open(loaded.original, model), name=RUNTIME_WITNESS)
    except BackendError as error:  # it lacks a kernel
        return Witness(missing=error.summary, name=RUNTIME_WITNESS)


__all__ = ["Witness", "confirmation", "of_the_file", "require", "runtime_witness", "witness"]
