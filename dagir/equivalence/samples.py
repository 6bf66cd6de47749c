"""The samples that a user gives, in an .npz file."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from dagir.errors import ArgumentError, FileError
from dagir.ir.types import Array


def refuse_none(given: object, arrays: Sequence[Array]) -> None:
    """Raise ArgumentError where samples hold no number: an answer to none is right, and has no range, whatever it is.

    given: what the user gave, named where it is the path of a file.
    """
    if arrays and not any(array.size for array in arrays):
        what = f"{given} holds" if isinstance(given, (str, PathLike)) else "the arrays hold"
        raise ArgumentError(f"{what} no samples, so that nothing would be compared", remedy="give one or more")


def read_npz(path: str | PathLike[str]) -> dict[str, object]:
    """The arrays of a file. Raises FileError, also for a pipe, which could block."""
    remedy = "np.savez('samples.npz', image=array) writes such a file: an array for each input, by its name"
    try:
        if not Path(path).exists():
            raise FileError(f"there is no file {path}", remedy=remedy)
        if not Path(path).is_file():
            raise FileError(f"{path}: is no plain file", remedy=remedy)
        with open(path, "rb") as stream:  # np.load does not close a file that it cannot read
            found = np.load(stream, allow_pickle=False)
            if not isinstance(found, np.ndarray):
                return dict(found)
        raise FileError(f"{path} holds one array, without the name of an input", remedy=remedy)
    except FileError:
        raise
    except Exception as error:  # zip files and arrays raise many kinds of errors
        raise FileError(f"{path!s:.200} cannot be read as .npz: {error!s:.200}", remedy=remedy) from error
