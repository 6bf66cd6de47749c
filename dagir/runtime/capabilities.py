"""What some backends can do beside lowering, as protocols: `annotating(backend(ONNX)).annotate(path, {...})`.

A backend says that it can by having the methods. R: what it reports with, a type of a higher floor.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar, runtime_checkable

from dagir.errors import BackendError
from dagir.runtime.backend import Backend

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@runtime_checkable
class Annotates(Protocol):
    """Its files have room for remarks."""

    def annotate(self, path: str | os.PathLike[str], entries: Mapping[str, str]) -> None:
        """Write remarks into a file. Raises FileError."""


@runtime_checkable
class Compares(Protocol[R_co]):
    """It compares two of its files, without a model of dagir."""

    def compare(
        self,
        first: str | os.PathLike[str],
        second: str | os.PathLike[str],
        seed: int = 0,
        progress: Callable[[str, int, int], None] | None = None,
        names: Mapping[str, str] = {},
        tell: Callable[[str], None] = lambda line: None,
    ) -> R_co:
        """The second file against the first. Raises FileError.

        names: of the first's inputs and outputs, by those of the second. tell: gets a line for each other name.
        """


@runtime_checkable
class Certifies(Protocol[R]):
    """Its files can hold what was verified of them, and be held to it again."""

    def certify(self, path: str | os.PathLike[str], report: R, source: str) -> str:
        """Write a certificate into a file. Returns why that was not done, or nothing. Raises FileError."""

    def recertify(self, path: str | os.PathLike[str]) -> R:
        """Run the certificate in a file again. Raises FileError."""


def annotating(backend: Backend) -> Annotates:
    """The backend as one that annotates files. Raises BackendError."""
    if isinstance(backend, Annotates):
        return backend
    raise BackendError(f"the {backend.name} backend writes no remarks into files")


def comparing(backend: Backend, report: type[R]) -> Compares[R]:
    """The backend as one that compares files. report: the type that it reports with. Raises BackendError."""
    if isinstance(backend, Compares):
        return backend
    raise BackendError(f"the {backend.name} backend compares no files")


def certifying(backend: Backend, report: type[R]) -> Certifies[R]:
    """The backend as one that certifies files. report: the type that it reports with. Raises BackendError."""
    if isinstance(backend, Certifies):
        return backend
    raise BackendError(f"the {backend.name} backend certifies no files")
