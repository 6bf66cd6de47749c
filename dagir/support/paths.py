"""Checks of paths that a caller gives, before they are used."""

from __future__ import annotations

import os

from dagir.errors import FileError


def checked(path: str | os.PathLike[str], *, as_text: bool = False) -> None:
    """Raise FileError for a path that no file can have: too long, with a zero byte, in a folder that is closed.

    as_text: where the name is written into a file, or handed to a library that takes UTF-8.
    """
    try:
        if as_text:
            os.fspath(path).encode()
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return  # whoever reads or writes there says which
    except UnicodeEncodeError:
        raise FileError(f"{os.fspath(path)!a} is no name in UTF-8", remedy="give the file another name") from None
    except OSError as error:
        raise FileError(f"{shortened(os.fspath(path))}: {error.strerror or error}") from error
    except ValueError as error:
        raise FileError(f"{os.fspath(path)!a} is no path: {error}") from None


def shortened(text: str) -> str:
    """A path of which the middle is left out where it is long."""
    return text if len(text) <= 80 else f"{text[:40]}...{text[-37:]}"
