"""The error of a size without a number, apart from a KeyError that a rule of a user's raises."""

from __future__ import annotations


class MissingSize(KeyError):
    """No number is known for the size of this name."""
