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
