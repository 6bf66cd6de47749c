"""Exceptions of functions that a user wrote, as one error that names the function and the line that raised.

dagir calls such functions: the shape rule and the rules of an op of one's own, the `call` and `build` of a layer, a
function given as an activation.
"""

from __future__ import annotations

import traceback

from dagir.errors import DagirError, UserCodeError
from dagir.support.location import is_of_a_tool, is_ours, shown_file

_TOLD_AS_THEY_ARE = (DagirError, Warning, MemoryError, RecursionError)
_LONGEST = 300
"""The most characters of a message: some libraries print arrays into theirs."""


def is_of_user(kind: type) -> bool:
    """Whether a class is defined outside dagir, its own backends and the frameworks."""
    return not is_of_a_tool(kind.__module__.partition(".")[0])


def of_class(kind: type, error: Exception, what: str) -> UserCodeError | None:
    """The error for an exception of a function of a class; None where the class is none of a user's."""
    return user_error(error, what) if is_of_user(kind) else None


def user_error(error: Exception, what: str | None = None) -> UserCodeError | None:
    """The error for an exception of a user's function, with the exception as its cause.

    what: the function, as the message names it; by default by its name. None where no function of a user raised, and
    for what tells more as it is: errors and signals of dagir and its backends, warnings, a full memory or stack.
    """
    if isinstance(error, _TOLD_AS_THEY_ARE) or is_ours(type(error).__module__.partition(".")[0]):
        return None
    frames = [
        (frame.f_code, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not is_of_a_tool(frame.f_globals.get("__name__", "").partition(".")[0])
    ]
    if not frames and what is None:
        return None
    said = str(error).strip().split("\n")[0][:_LONGEST]
    name = what or frames[0][0].co_qualname.rpartition("<locals>.")[2]
    told = UserCodeError(f"{name} raised {type(error).__name__}" + (f": {said}" if said else ""))
    told.__cause__ = error
    if frames:  # the last line of the user's own file, also where a library that it calls raised
        code, line = [each for each in frames if each[0].co_filename == frames[0][0].co_filename][-1]
        told.fact("raised at", f"{shown_file(code.co_filename)}:{line}, in {code.co_name}")
    return told
