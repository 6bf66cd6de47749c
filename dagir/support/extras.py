"""Optional packages: an error in one line says which one is missing, and how to install it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from dagir.errors import BackendError

_EXTRAS = {
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "keras": "keras",
    "tensorflow": "keras",
    "pygraphviz": "plot",
    "hypothesis": "testing",
}
"""The extra of dagir that brings a package."""


class MissingExtra(BackendError, ImportError):
    """A package of one of dagir's extras is not installed."""


def missing(error: ImportError, what: str) -> MissingExtra | None:
    """The error for a module that was not found; None if it belongs to no extra, such as a module of the user."""
    package = (error.name or "").partition(".")[0]
    if package not in _EXTRAS:
        return None
    extra = _EXTRAS[package]
    return MissingExtra(
        f"{what} needs a package that is not installed: {package}",
        facts=[("it says", (str(error).splitlines() or ["nothing"])[0])],
        remedy=f"pip install 'dagir[{extra}]'",
    )


@contextlib.contextmanager
def needed(what: str) -> Iterator[None]:
    """Inside the `with` block, turn the ImportError of an optional package into MissingExtra."""
    try:
        yield
    except MissingExtra:
        raise
    except ImportError as error:
        told = missing(error, what)
        if told is None:
            raise
        raise told from error
