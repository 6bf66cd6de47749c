"""Warnings of what a file claims, and of what is taken to hold, at the line of the user."""

from __future__ import annotations

import warnings

from dagir.errors import DeclarationWarning
from dagir.support.location import user_line


def tell(text: str) -> None:
    """Warn with a DeclarationWarning."""
    where = user_line()
    file, line = (where.file, where.line) if where else ("dagir", 1)
    warnings.warn_explicit(DeclarationWarning(text), DeclarationWarning, file, line, registry=None)


__all__ = ["tell"]
