"""What rich prints, as text: without colours, in lines of at most so many characters."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType


class PlainText:
    """Tables and lines one below the other; `str` of it is the text."""

    def __init__(self, width: int) -> None:
        from rich.console import Console  # takes a while, and no text is asked for in most runs

        self._file = io.StringIO()
        self._console = Console(
            file=self._file, width=width, color_system=None, legacy_windows=False, force_jupyter=False
        )

    def add(self, table: RenderableType) -> None:
        """Add what rich lays out."""
        self._console.print(table)

    def line(self, text: str) -> None:
        """Add a line of text as it is, which may hold brackets."""
        self._console.print(text, markup=False, highlight=False)

    def __str__(self) -> str:
        lines = self._file.getvalue().splitlines()
        return "\n".join(line.rstrip() for line in lines).strip("\n")
