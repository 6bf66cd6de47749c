"""Packages that not every installation has: one line that says which is missing, and how to get it."""

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
    """A package that an extra of dagir brings is not installed."""


def missing(error: ImportError, what: str) -> MissingExtra | None:
    """The error for a module that was not found; None where no extra brings it, such as one of the user's own."""
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
    """Within, raise MissingExtra in place of an ImportError of a package that an extra brings."""
    try:
        yield
    except MissingExtra:
        raise
    except ImportError as error:
        told = missing(error, what)
        if told is None:
            raise
        raise told from error
