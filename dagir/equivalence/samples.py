"""The samples that a user gives in a file: .npz with an array for each input, or .npy for a model of one input."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from dagir.errors import ArgumentError, FeedError, FileError
from dagir.ir.types import Array
from dagir.support.lfs import refuse_pointer

HOW_TO_WRITE = (
    "np.savez('samples.npz', image=array) writes such a file: an array for each input, by its name; "
    "for a model of one input np.save('samples.npy', array) does too"
)


def refuse_none(given: object, arrays: Sequence[Array]) -> None:
    """Raise ArgumentError where samples hold no number: an answer to none is right, and has no range, whatever it is.

    given: what the user gave, named where it is the path of a file.
    """
    if arrays and not any(array.size for array in arrays):
        what = f"{given} holds" if isinstance(given, (str, PathLike)) else "the arrays hold"
        raise ArgumentError(f"{what} no samples, so that nothing would be compared", remedy="give one or more")


def read_samples(path: str | PathLike[str], inputs: Sequence[str]) -> dict[str, object]:
    """The arrays of a file by input. inputs: the names of the model's. A single array is that of the only input.

    Raises FileError, also for a pipe, which could block, and FeedError for a single array where there are more inputs.
    """
    found = _read(path)
    if not isinstance(found, np.ndarray):
        return found
    if len(inputs) == 1:
        return {inputs[0]: found}
    named = ", ".join(f"{name}=..." if name.isidentifier() else f"**{{{name!r}: ...}}" for name in inputs)
    raise FeedError(
        f"{path} holds one array, and the model has {len(inputs)} inputs: {', '.join(inputs) or 'none'}",
        remedy=f"write them into one file, each by its name: np.savez('samples.npz', {named})" if inputs else None,
    )


def read_array(path: str | PathLike[str], what: str, remedy: str | None = None) -> Array:
    """The array of an .npy file. what: it is, for the error. Raises FileError."""
    found = _read(path, what, remedy)
    if isinstance(found, np.ndarray):
        return found
    raise FileError(f"{what}: {path!s:.200} is an .npz file, which holds several arrays", remedy=remedy)


def _read(
    path: str | PathLike[str], what: str | None = None, remedy: str | None = HOW_TO_WRITE
) -> Array | dict[str, object]:
    """The arrays of an .npz file, or the one of an .npy file: by its first bytes, whatever its name."""
    begin = "" if what is None else f"{what}: "
    try:
        if not Path(path).exists():
            raise FileError(f"{begin}there is no file {path}", remedy=remedy)
        if not Path(path).is_file():
            raise FileError(f"{begin}{path}: is no plain file", remedy=remedy)
        refuse_pointer(path)
        with open(path, "rb") as stream:  # np.load does not close a file that it cannot read
            found = np.load(stream, allow_pickle=False)
            return found if isinstance(found, np.ndarray) else dict(found)
    except FileError:
        raise
    except Exception as error:  # zip files and arrays raise many kinds of errors
        raise FileError(
            f"{begin}{path!s:.200} cannot be read as .npz or .npy: {error!s:.200}", remedy=remedy
        ) from error
