"""Errors of the command line."""

from dagir.errors import DagirError, FileError
from dagir.support.paths import shortened


class UsageError(DagirError):
    """An argument of the command that cannot be used. Exit code 2."""

    exit_code = 2


def of_a_path(error: OSError) -> FileError:
    """An OSError about a path, as a FileError."""
    where = " ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    shown = shortened(where)
    said = error.strerror or str(error) or type(error).__name__
    return FileError(f"{shown}: {said}" if shown else said, remedy="give another path, or make room there")
