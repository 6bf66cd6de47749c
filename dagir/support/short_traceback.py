"""Tracebacks for notebooks: the lines of the user, and the message, without the frames of dagir and of the notebook."""

from __future__ import annotations

import linecache
import sys
import traceback

from dagir.support.location import is_of_a_tool, shown_file

_QUIET = {"IPython", "ipykernel", "runpy"}


def short_traceback(error: BaseException) -> list[str]:
    """The lines to show, for IPython, which asks an error for them by `_render_traceback_`.

    Raises LookupError where the user chose another mode (`%xmode Verbose`): IPython shows all frames then.
    """
    if _mode() not in ("", "Context"):
        raise LookupError("the user wants all frames")
    lines = [f"{type(error).__name__}: {error}"]
    frames = [
        _summary(frame.f_code.co_filename, line, frame.f_code.co_name)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not is_of_a_tool(package := frame.f_globals.get("__name__", "").partition(".")[0]) and package not in _QUIET
    ]
    if frames:
        lines += ["", *(line.rstrip() for line in traceback.format_list(frames))]
    if error.__cause__ is not None:
        lines += ["", f"caused by {type(error.__cause__).__name__}: {error.__cause__}"]
    return lines


def _summary(file: str, line: int, name: str) -> traceback.FrameSummary:
    """A frame, with a cell of a notebook by its number."""
    return traceback.FrameSummary(shown_file(file), line, name, line=linecache.getline(file, line))


def _mode() -> str:
    """How IPython shows tracebacks; an empty string without IPython."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return str(getattr(getattr(shell, "InteractiveTB", None), "mode", ""))
