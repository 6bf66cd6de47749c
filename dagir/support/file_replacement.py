"""Put finished files in place: nothing is replaced unasked, a device never, and a pair of files together or not at
all."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from dagir.errors import FileError
from dagir.support.paths import checked


def check_free(
    path: str | os.PathLike[str], overwrite: bool, remedy: str = "pass overwrite=True to replace it"
) -> None:
    """Raise FileError for a folder, a device or a pipe, and for a file that must not be replaced."""
    checked(path)
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if os.path.lexists(path) and not overwrite:  # a link to nothing
            raise FileError(f"{path} exists", remedy=remedy) from None
        return
    except NotADirectoryError:  # writing there raises the error
        return
    except (OSError, ValueError) as error:  # a name too long, a NUL
        raise FileError(f"cannot write {path!s:.200}: {getattr(error, 'strerror', None) or error}") from None
    if stat.S_ISDIR(mode):
        raise FileError(f"{path}: is a folder", remedy="give the name of a file")
    if not stat.S_ISREG(mode):
        raise FileError(f"{path}: is no plain file, but a device or a pipe", remedy="give the name of a file")
    if not overwrite:
        raise FileError(f"{path} exists", remedy=remedy)


def put(pairs: Sequence[tuple[Path, Path]], *, overwrite: bool) -> None:
    """Move each finished file to its place, on the same disk: all of them, or none, and then the old files are as
    before.

    The last is the one that names the others. Raises FileError.
    """
    ends = [Path(os.path.realpath(end)) for _, end in pairs]
    for end in ends:
        check_free(end, overwrite)
    kept: dict[Path, Path] = {}
    placed: list[Path] = []
    try:
        for (start, _), end in zip(pairs, ends, strict=True):
            if len(pairs) > 1 and end.exists():
                kept[end] = _kept(end, start.parent)
            _place(start, end, overwrite)
            placed.append(end)
    except BaseException as error:
        _restore(placed, kept)
        if isinstance(error, OSError):
            what = "exists" if isinstance(error, FileExistsError) else f"cannot be written: {error.strerror or error}"
            raise FileError(f"{ends[len(placed)]} {what}") from error
        raise


def _kept(end: Path, folder: Path) -> Path:
    """A second name of a file that will be replaced, to restore it from."""
    spare = folder / f".{end.name}.{os.urandom(4).hex()}.before"
    try:
        os.link(end, spare)
    except OSError:  # a disk without links
        os.rename(end, spare)
    return spare


def _place(start: Path, end: Path, overwrite: bool) -> None:
    if overwrite:
        os.replace(start, end)
        return
    try:
        os.link(start, end)  # fails if another process has made it meanwhile
    except FileExistsError:
        raise
    except OSError:  # a disk without links
        if os.path.lexists(end):
            raise FileExistsError(end) from None
        os.replace(start, end)
    else:
        os.unlink(start)


def _restore(placed: Sequence[Path], kept: dict[Path, Path]) -> None:
    for end in placed:
        if end not in kept:
            with contextlib.suppress(OSError):
                os.unlink(end)
    for end, spare in kept.items():
        with contextlib.suppress(OSError):
            os.replace(spare, end)
