"""The nearest names to one that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from dagir.errors import ArgumentError


class UnknownName(ArgumentError, AttributeError):
    """A module of dagir does not have the name that was asked for."""


def unknown_name(module: str, name: str, known: Iterable[str]) -> UnknownName:
    """The error for `module.name`, with the nearest names; names that begin with "_" get none."""
    by_lower = {each.lower(): each for each in known}
    near = [] if name.startswith("_") else difflib.get_close_matches(name.lower(), by_lower, n=3)
    remedy = f"did you mean {' or '.join(by_lower[each] for each in near)}?" if near else None
    return UnknownName(f"{module} has no {name!r}", remedy=remedy)
