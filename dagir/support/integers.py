"""Whole numbers that a caller gives."""

from __future__ import annotations

import operator
from typing import Any

from dagir.errors import ArgumentError


def whole(name: str, given: Any, least: int) -> int:
    """An argument as an int, of whatever kind of integer it is. Raises ArgumentError."""
    try:
        number = operator.index(given)
    except TypeError:
        raise ArgumentError(f"{name} takes an int, got {given!r}") from None
    if number < least:
        raise ArgumentError(f"{name} must be {least} or more, got {number}")
    return number


def ints_per_axis(name: str, given: Any, rank: int) -> tuple[int, ...]:
    """An int for all axes, or one for each. Raises ArgumentError."""
    numbers = (given,) * rank if isinstance(given, int) else tuple(given)
    if len(numbers) != rank or not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
        raise ArgumentError(f"{name} is an int or {rank} ints, got {given!r}")
    return numbers
