"""Files mapped into memory, opened without trusting what is at their paths."""

from __future__ import annotations

import mmap
import os
import stat

from dagir.errors import FileError
from dagir.serialization.reading import shown
from dagir.support.lfs import refuse_pointer
from dagir.support.paths import checked

_OPENING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def map_file(path: str) -> mmap.mmap:
    """The bytes of a file, mapped. Raises FileError for one that is missing, empty, not regular, or a pointer."""
    checked(path)
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            raise FileError(f"{path}: is a directory", remedy="give the .keras or .h5 file")
        if not stat.S_ISREG(found.st_mode):
            raise FileError(f"{path}: is no regular file")
        if found.st_size == 0:
            raise FileError(f"{path}: is empty")
        refuse_pointer(path)
        with open(os.open(path, _OPENING), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # it may have changed: opening a pipe would wait
                raise FileError(f"{path}: is no regular file")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise FileError(f"{path}: there is no such file") from None
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a path with a zero byte; a file that is empty now
        raise FileError(f"{shown(path)}: cannot be read: {error}") from None
