"""Pointer files of Git LFS: what a clone has in place of a large file until that is fetched."""

from __future__ import annotations

import os
import stat

from dagir.errors import FileError
from dagir.support.paths import shortened

_START = b"version https://git-lfs.github.com/spec/"
_LARGEST = 1024
"""The bytes that a pointer has at most, as Git LFS specifies it."""


def refuse_pointer(path: str | os.PathLike[str]) -> None:
    """Raise FileError for a pointer file of Git LFS. What is missing, no file or closed is left to whoever reads it."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
            return
        with open(path, "rb") as file:
            text = file.read(_LARGEST)
    except (OSError, ValueError):
        return
    if text.startswith(_START):
        size = next(
            (line[5:].decode() for line in text.splitlines() if line[:5] == b"size " and line[5:].isdigit()), ""
        )
        raise FileError(
            f"{shortened(os.fspath(path))}: is a pointer of Git LFS, not the file itself"
            + (f", which has {int(size):,} bytes" if size else ""),
            remedy="fetch the file, in its repository: git lfs pull",
        )
