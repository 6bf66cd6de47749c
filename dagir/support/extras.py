"""Optional packages: an error in one line says which one is missing, and how to install it."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator

from dagir.errors import BackendError

_EXTRAS = {
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "keras": "keras",
    "tensorflow": "keras",
    "jax": "keras-jax",
    "torch": "keras-torch",
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
        remedy=f"pip install 'dagir[{extra}]'{_or_another(package)}",
    )


def _or_another(package: str) -> str:
    """What Keras may compute with instead: it takes TensorFlow unless KERAS_BACKEND says otherwise."""
    there = [name for name in ("tensorflow", "jax", "torch") if name != package and _is_there(name)]
    if _EXTRAS[package].partition("-")[0] != "keras" or package == "keras" or not there:
        return ""
    return f", or set KERAS_BACKEND={there[0]}, which is installed, before Keras is imported"


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # of a module that was put in sys.modules without a spec
        return False


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
