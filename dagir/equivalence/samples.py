"""The samples that a user gives, in an .npz file."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np

from dagir.errors import FileError


def read_npz(path: str | PathLike[str]) -> dict[str, object]:
    """The arrays of a file. Raises FileError, also for a pipe, which could block."""
    remedy = "np.savez(path, **arrays) writes such a file"
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
