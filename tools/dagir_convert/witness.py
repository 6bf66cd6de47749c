"""Run the source itself by Keras, so that dagir's reading is compared with the source, and not only with itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import dagir
from dagir.equivalence.certifying import WITNESS as NAME
from dagir.equivalence.certifying import confirmation, of_the_file, require, takes_the_sizes
from dagir.errors import FileError
from dagir.support.backend_names import KERAS
from dagir_convert.errors import UsageError
from dagir_convert.sources import Loaded


@dataclass(frozen=True)
class Witness:
    """An executable of the source by Keras, or the reason why there is none. missing: the reason; empty if there is an
    executable, if Keras is not wanted, or if the source is nothing that Keras can run.
    """

    executable: dagir.Executable | None = None
    missing: str = ""


def witness(loaded: Loaded, model: dagir.Model, wanted: bool | None, is_part: bool = False) -> Witness:
    """The witness of a source; `model` is the model to convert, read from it.

    wanted: if None, only a Keras model in memory is run, not a file, since Keras would have to be imported. This never
    depends on the time that something takes, so that every machine decides the same. is_part: whether `model` is only a
    part of the source. Raises UsageError if it is wanted and not possible, FileError, BackendError.
    """
    original = loaded.original
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


__all__ = ["NAME", "Witness", "confirmation", "of_the_file", "require", "witness"]
