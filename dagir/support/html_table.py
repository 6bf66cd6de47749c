"""A table for notebooks, from text that may hold markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from dagir.support.printable import printable


def html_table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[str] = ()) -> str:
    """The table. numbers: the heads of the columns that are set to the right."""
    sides = ["right" if head in numbers else "left" for head in heads]
    body = "".join(_row("td", row, sides) for row in rows)
    return f"<table><thead>{_row('th', heads, sides)}</thead><tbody>{body}</tbody></table>"


def _row(tag: str, cells: Sequence[str], sides: Sequence[str]) -> str:
    shown = [
        f'<{tag} style="text-align:{side}">{escape(printable(cell))}</{tag}>'
        for cell, side in zip(cells, sides, strict=True)
    ]
    return f"<tr>{''.join(shown)}</tr>"
