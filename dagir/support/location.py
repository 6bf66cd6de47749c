"""Where a node came from: the user's source line, and the call of the layer that made it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import CodeType
from typing import Any, Protocol

_OURS = {"dagir", "dagir_numpy", "dagir_onnx", "dagir_keras"}
_FRAMEWORKS = {"keras", "tensorflow", "tf_keras", "optree", "numpy"}  # the user called them, and they called dagir
_THREADS = {"concurrent", "threading"}  # where a thread begins, nobody called
_TOOL = "dagir_convert"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Location:
    """A line of the user's code. The line number is computed when it is needed, which is rare."""

    __slots__ = ("_code", "_line", "_offset", "file")

    def __init__(self, file: str, line: int | None, code: CodeType | None = None, offset: int = 0) -> None:
        self.file = file
        self._line, self._code, self._offset = line, code, offset

    @property
    def line(self) -> int:
        """The line number, from 1; 0 where it is not known."""
        if self._line is None:
            self._line = _line_at(self._code, self._offset)
        return self._line

    @property
    def short(self) -> str:
        """File name and line, without the folder: what is written into files that leave this machine."""
        return f"{os.path.basename(shown_file(self.file))}:{self.line}"

    def __str__(self) -> str:
        return f"{shown_file(self.file)}:{self.line}"


def shown_file(file: str) -> str:
    """The name of a file as its user knows it: for a cell of a notebook, whose file is hidden, its number."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    named = getattr(getattr(shell, "compile", None), "format_code_name", None)  # from IPython 8 on
    found = None if named is None else named(file)
    return " ".join(found) if found else file


def _line_at(code: CodeType | None, offset: int) -> int:
    if code is None:
        return 0
    for start, end, line in code.co_lines():
        if start <= offset < end:
            return line or 0
    return code.co_firstlineno


_lines = ContextVar("dagir_lines", default=True)


@contextmanager
def without_lines() -> Iterator[None]:
    """Inside the `with` block nodes have no source line: the nodes of a file do not come from a line of the user."""
    token = _lines.set(False)
    try:
        yield
    finally:
        _lines.reset(token)


def caller() -> Location | None:
    """The innermost line outside this package; None within `without_lines`."""
    if not _lines.get():
        return None
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(_PACKAGE):
        outer = frame.f_back
        if outer is None:
            return None
        frame = outer
    return Location(frame.f_code.co_filename, None, frame.f_code, frame.f_lasti)


def is_ours(package: str) -> bool:
    """Whether a package is dagir or one of its own backends."""
    return package in _OURS


def is_of_a_tool(package: str) -> bool:
    """Whether a package is dagir, one of its own backends, or a framework that they call."""
    return package in _OURS or package in _FRAMEWORKS


def user_line() -> Location | None:
    """The innermost line outside dagir, its own backends and the frameworks, for errors; `caller` is the quick one.

    None where the command-line tool made the call: its user wrote no line.
    """
    frame = sys._getframe(1)
    while is_of_a_tool(package := frame.f_globals.get("__name__", "").partition(".")[0]) or package in _THREADS:
        outer = frame.f_back
        if outer is None:
            return None
        frame = outer
    if package == _TOOL:
        return None
    return Location(frame.f_code.co_filename, frame.f_lineno)


class Named(Protocol):
    """What the graph needs to know of a layer."""

    @property
    def name(self) -> str:
        """The layer's name."""


class LayerCall:
    """One call of one layer: the scope of the nodes made in it.

    args, kwargs and outputs are the structures of values as the user passed and got them;
    parent is the call of the enclosing layer.
    """

    __slots__ = ("args", "kwargs", "layer", "location", "outputs", "parent")

    def __init__(
        self,
        layer: Named,
        parent: LayerCall | None,
        location: Location | None,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> None:
        self.layer, self.parent, self.location = layer, parent, location
        self.args, self.kwargs = args, kwargs or {}
        self.outputs: Any = None

    @property
    def path(self) -> str:
        """The names of the layers from the outermost in: "encoder/conv2d_1"."""
        names = [self.layer.name]
        scope = self.parent
        while scope is not None:
            names.append(scope.layer.name)
            scope = scope.parent
        return "/".join(reversed(names))

    def within(self, ancestor: LayerCall | None) -> LayerCall | None:
        """The call directly below `ancestor` on the way to this one; None if this is not below it."""
        scope: LayerCall | None = self
        while scope is not None and scope.parent is not ancestor:
            scope = scope.parent
        return scope


current_scope: ContextVar[LayerCall | None] = ContextVar("dagir_layer_call", default=None)
