"""Long tables: rich lays them out for a terminal; a pipe, and a table of thousands of rows, get plain lines at once.

In plain lines every column is as wide as its longest cell, so that no name is broken and each row is one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from dagir.support.printable import printable
from dagir_convert.console import Output

_MOST_ROWS = 2_000
"""Rows up to which rich lays a table out: it takes 0.4 ms for each."""


@dataclass(frozen=True)
class Cell:
    """Text from a file, with what stands before and after it, dim."""

    text: str
    before: str = ""
    after: str = ""

    @property
    def plain(self) -> str:
        """All of it in one line, safe to print."""
        return f"{self.before}{printable(self.text)}{self.after}"

    @property
    def styled(self) -> Text:
        """The same for a terminal."""
        return Text.assemble((self.before, "dim"), printable(self.text), (self.after, "dim"))


@dataclass
class Sheet:
    """A table. titles: of the columns; one that begins with ">" is aligned to the right."""

    titles: Sequence[str]
    rows: list[tuple[Cell, ...]] = field(default_factory=list)

    def add(self, *cells: Cell | str) -> None:
        """Add a row."""
        self.rows.append(tuple(Cell(cell) if isinstance(cell, str) else cell for cell in cells))

    def print(self, output: Output) -> None:
        """Print it to stdout, unless quiet."""
        if output.out.is_terminal and len(self.rows) <= _MOST_ROWS:
            output.show(self._table())
        else:
            output.say("\n".join(["", *self._lines(), ""]))

    def _table(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
        for title in self.titles:
            right = title.startswith(">")
            table.add_column(title.lstrip(">"), justify="right" if right else "left", overflow="fold", no_wrap=right)
        for row in self.rows:
            table.add_row(*(cell.styled for cell in row))
        return table

    def _lines(self) -> Iterator[str]:
        titles = [title.lstrip(">") for title in self.titles]
        rows = [titles, *([cell.plain for cell in row] for row in self.rows)]
        widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
        for place, row in enumerate(rows):
            yield "  ".join(map(self._padded, self.titles, row, widths)).rstrip()
            if place == 0:
                yield "─" * (sum(widths) + 2 * (len(widths) - 1))

    @staticmethod
    def _padded(title: str, text: str, width: int) -> str:
        space = " " * (width - cell_len(text))
        return space + text if title.startswith(">") else text + space
