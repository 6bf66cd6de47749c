"""The tables of a report, for a terminal and for a notebook.

Two kinds of rows: those that an error budget judges, and those of a lower precision, which thresholds judge. The second
kind has a line for each measure, so that what was found stands beside what is allowed, in 80 columns too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dagir.equivalence.closeness import SCALED, Criterion
from dagir.support.html_table import html_table
from dagir.support.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from dagir.equivalence.report import Row

NAMES = ("backend", "output", "shape", "dtype")
_ERRORS = ("max error", "scale", "relative", "budget used")
MEASURES = ("measure", "found", "allowed", "verdict")
_STYLES = {"differs": "bold red", "exact": "green", "ok": "green", "close": "green"}
_VERDICTS = {True: "close", False: "differs", None: "-"}


def table(rows: Sequence[Row]) -> RenderableType:
    """What rich prints: a table for each kind of rows that there is."""
    from rich.console import Group

    by_budget, by_thresholds = by_judge(rows)
    made = [_budget_table(by_budget)] if by_budget or not rows else []
    made += [_threshold_table(by_thresholds)] if by_thresholds else []
    return made[0] if len(made) == 1 else Group(*made)


def html(rows: Sequence[Row]) -> str:
    """The same for a notebook."""
    by_budget, by_thresholds = by_judge(rows)
    found = ""
    if by_budget or not rows:
        found += html_table([*NAMES, *_ERRORS, "verdict"], map(_cells, by_budget), _ERRORS)
    if by_thresholds:
        lines = ([*_identity(row), *cells_of(each)] for row in by_thresholds for each in row.criteria)
        found += html_table([*NAMES, *MEASURES], lines, ("found",))
    return found


def remarks(rows: Sequence[Row]) -> list[str]:
    """What the tables do not show: what is wrong with an output, and where."""
    shown = [row for row in rows if row.note and (not row.criteria or row.criteria[0].measure == SCALED)]
    return [f"{row.backend}, {row.output}: {row.note}" for row in shown]


def percent(share: float) -> str:
    """A share of the error budget, with two digits."""
    if share == 0:
        return "0 %"
    if not math.isfinite(share):
        return "all"
    if share >= 100:
        return ">9999 %"
    return f"{100 * share:.2g} %" if share < 1 else f"{100 * share:.0f} %"


def by_judge(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Those that error budgets judge, and those that thresholds judge."""
    return [row for row in rows if not row.criteria], [row for row in rows if row.criteria]


def _budget_table(rows: Sequence[Row]) -> Table:
    from rich.text import Text

    made = _empty((*NAMES, ">max error", ">budget used", "verdict"))
    for row in rows:
        names = (Text(printable(name)) for name in _identity(row))
        made.add_row(*names, _number(row.max_error), percent(row.used), Text(row.verdict, _STYLES[row.verdict]))
    return made


def _threshold_table(rows: Sequence[Row]) -> Table:
    """The name, shape and dtype of an output stand once, below each other, beside its measures."""
    from rich.text import Text

    made = _empty(("backend", "output", "measure", ">found", "allowed", "verdict"))
    for row in rows:
        heads = [(row.backend, row.output), ("", row.shape), ("", row.dtype)]
        for place, each in enumerate(row.criteria):
            names = heads[place] if place < len(heads) else ("", "")
            *texts, verdict = cells_of(each)
            style = _STYLES.get(verdict, "dim")
            made.add_row(*(Text(printable(text)) for text in (*names, *texts)), Text(verdict, style))
        made.add_section()
    return made


def _empty(titles: Sequence[str]) -> Table:
    """A table without rows. A title that begins with ">" is of numbers."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in titles:
        name = title.lstrip(">")
        fold = "fold" if name in ("output", "shape") else "ellipsis"
        justify = "right" if title != name else "left"
        made.add_column(name, justify=justify, overflow=fold, no_wrap=name in ("verdict", "allowed", "measure"))  # type: ignore[arg-type]
    return made


def _identity(row: Row) -> list[str]:
    return [row.backend, row.output, row.shape, row.dtype]


def cells_of(each: Criterion) -> list[str]:
    """Its cells: measure, found, allowed, verdict."""
    return [each.measure, each.found, each.allowed or "-", _VERDICTS[each.ok]]


def _cells(row: Row) -> list[str]:
    relative = "-" if row.relative is None else _number(row.relative)
    return [*_identity(row), _number(row.max_error), _number(row.scale), relative, percent(row.used), row.verdict]


def _number(number: float) -> str:
    return "0" if number == 0 else f"{number:.2g}"
