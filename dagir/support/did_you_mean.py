"""The nearest names to one that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from dagir.errors import ArgumentError


def nearest(name: object, known: Iterable[str], most: int = 3) -> list[str]:
    """Those of the known names that `name` may be a slip of, the likeliest first."""
    return difflib.get_close_matches(str(name), list(known), n=most)


def did_you_mean(name: object, known: Iterable[str], most: int = 3, *, instead: Sequence[str] = ()) -> str | None:
    """For a remedy: did you mean conv_1 or conv_2? None where no name is near. instead: named then."""
    names = nearest(name, known, most) or instead
    return f"did you mean {' or '.join(names)}?" if names else None


class UnknownName(ArgumentError, AttributeError):
    """A module of dagir does not have the name that was asked for."""


def unknown_name(module: str, name: str, known: Iterable[str]) -> UnknownName:
    """The error for `module.name`, with the nearest names; names that begin with "_" get none."""
    by_lower = {each.lower(): each for each in known}
    near = [] if name.startswith("_") else [by_lower[each] for each in nearest(name.lower(), by_lower)]
    return UnknownName(f"{module} has no {name!r}", remedy=did_you_mean(name, (), instead=near))
