"""The result of verify: a row for each backend and output."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from dagir.equivalence import services
from dagir.equivalence.closeness import Closeness
from dagir.equivalence.metric import Score
from dagir.errors import VerificationError
from dagir.support.html_table import html_table
from dagir.support.printable import printable, printable_lines

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from rich.table import Table

    from dagir.equivalence.bisection import Divergence, Search
    from dagir.equivalence.oracle import Expected, Oracle
    from dagir.equivalence.page_graph import Harms
    from dagir.ir.types import Array
    from dagir.runtime.backend import Executable

_COLUMNS = (("backend", "left"), ("output", "left"), ("shape", "left"), ("dtype", "left"))
_NUMBERS = (("max error", "right"), ("budget used", "right"), ("verdict", "left"))


@dataclass(frozen=True)
class Row:
    """One output of one backend, in its worst case. used: the share of the error budget; 1 is the limit.

    closeness: of a lower precision than the model's, which no budget for rounding judges; `used` is then the share of
    what its thresholds allow. scale: the largest magnitude of the right answer where the error is largest.
    """

    backend: str
    output: str
    shape: str
    dtype: str
    max_error: float
    used: float
    note: str = ""
    closeness: Closeness | None = None
    scale: float = 0.0

    @property
    def relative(self) -> float | None:
        """The largest error over the scale; None where the scale is 0."""
        return self.max_error / self.scale if self.scale else None

    @property
    def ok(self) -> bool:
        """Whether rounding explains every difference."""
        return self.used <= 1

    @property
    def verdict(self) -> str:
        """exact: there is no difference; ok: rounding explains the difference; differs: it does not.

        close: the precision is lower, and the thresholds are kept.
        """
        if self.closeness is not None and self.ok:
            return "close"
        return "differs" if not self.ok else "exact" if self.max_error == 0 else "ok"

    def to_dict(self) -> dict[str, Any]:
        """Plain data; an infinite error is None, as JSON has no infinity."""
        return {
            "backend": self.backend,
            "output": self.output,
            "shape": self.shape,
            "dtype": self.dtype,
            "max_error": _finite(self.max_error),
            "scale": self.scale,
            "relative_error": None if self.relative is None else _finite(self.relative),
            "budget_used_percent": _finite(100 * self.used),
            "ok": self.ok,
            "verdict": self.verdict,
            "note": self.note,
            **({"closeness": self.closeness.to_dict()} if self.closeness is not None else {}),
        }


@dataclass(frozen=True)
class Case:
    """One set of inputs that was run. kind: normal, spread, scales, edges, or given. sizes: the named sizes.

    refused: the sizes that were to be run, and that the model does not take, such as batch=3.
    """

    input_shapes: tuple[tuple[int, ...], ...]
    kind: str = "normal"
    sizes: Mapping[str, int] = field(default_factory=dict)
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Context:
    """What a report was made from, for closer inspection. runs: pairs of (inputs, the oracle's answers)."""

    model: Any
    oracle: Oracle
    executables: Mapping[str, Executable]
    runs: tuple[tuple[list[Array], list[Expected]], ...]
    arrays: list[Array]


UNKNOWN = "no node is named: nothing before the outputs is known by a name of the model's, or shows it by itself"


@dataclass(frozen=True, repr=False)
class Report:
    """The result of verify. `.ok`, `.rows`; str() is a table.

    rows_read: for inputs that index a table, how many of its rows were read, and how many it has. scores: of each side,
    the metric that was asked for. measured: how close a narrow file was to the model that it was made from. explained:
    of a side that differs, the cause, if the same side agrees without it. repeat: the call, or the command line, that
    made the report.

    >>> x = dagir.Input((3,), name="x")
    >>> report = dagir.verify(dagir.Model(x, ops.tanh(x)), backends=["numpy"])
    >>> report.ok, len(report.rows)
    (True, 1)
    """

    rows: tuple[Row, ...]
    cases: tuple[Case, ...]
    seed: int
    samples: int
    seconds: float
    first_divergence: Divergence | None = None
    judgement: str = "against the float64 oracle"
    top_1: Mapping[str, float] = field(default_factory=dict)
    rows_read: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    scores: Mapping[str, Score] = field(default_factory=dict)
    measured: Mapping[str, Any] = field(default_factory=dict)
    explained: Mapping[str, str] = field(default_factory=dict)
    repeat: str = ""
    context: Context | None = field(default=None, repr=False, compare=False)
    search: Search | None = field(default=None, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Whether every output of every backend agrees with the oracle, up to rounding, and loses no metric."""
        return all(row.ok for row in self.rows) and all(each.ok for each in self.scores.values())

    @property
    def not_run(self) -> str:
        """A line for the sizes that the model says it takes, and does not; empty if there are none."""
        refused = list(dict.fromkeys(", ".join(case.refused) for case in self.cases if case.refused))
        return f"not run at {' nor at '.join(refused)}: the model does not take these sizes" if refused else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "ok": self.ok,
            "outputs": [row.to_dict() for row in self.rows],
            "first_divergence": self.first_divergence.to_dict() if self.first_divergence else None,
            "cases": [[list(shape) for shape in case.input_shapes] for case in self.cases],
            "top_1_agreement": dict(self.top_1),
            "table_rows_read": {name: {"read": read, "rows": rows} for name, (read, rows) in self.rows_read.items()},
            "scores": {name: each.to_dict() for name, each in self.scores.items()},
            **({"measured": dict(self.measured)} if self.measured else {}),
            **({"explained": dict(self.explained)} if self.explained else {}),
            **({"not_run": self.not_run} if self.not_run else {}),
            "judgement": self.judgement,
            "seed": self.seed,
            "samples": self.samples,
            "seconds": round(self.seconds, 3),
        }

    def to_json(self) -> str:
        """The same as JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    def require(self) -> Report:
        """The report itself if it is ok. Raises VerificationError, which names the outputs that differ."""
        if self.ok:
            return self
        failed = [row for row in self.rows if not row.ok]
        lost = [(name, str(each)) for name, each in self.scores.items() if not each.ok]
        if not failed:
            raise VerificationError(f"the metric is lower than allowed, {self.judgement}", facts=lost)
        facts = [(f"{row.backend} {row.output}", row.note or f"max error {row.max_error:.3g}") for row in failed]
        facts += lost
        facts += [(f"why {name} differs", told) for name, told in self.explained.items()]
        facts.append(("first divergence", str(self.first_divergence or UNKNOWN)))
        raise VerificationError(
            f"{len(failed)} of {len(self.rows)} outputs differ by more than rounding explains, {self.judgement}",
            facts=facts,
        )

    def write_html(
        self, path: str | os.PathLike[str], *, overwrite: bool = True, sensitivity: Harms | None = None
    ) -> Path:
        """Write one HTML page: the graph coloured by budget used, a row for every node, and histograms of the errors.

        The page needs no network. Layers that were not compared (fused, or without a counterpart) are marked as such.
        sensitivity: a table of `dagir.sensitivity` to colour the graph by; without one, a graph whose sides are all of
        a lower precision is coloured by relative error, as no error budget judges these.
        Raises ArgumentError for a report of two .onnx files, FileError.
        """
        return services.write_page(self, path, overwrite, sensitivity)

    def write_reproduction(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the smallest part of both sides that still shows the first divergence, with inputs and a script.

        overwrite: whether files of the same names in the folder are replaced. If the other side cannot be cut, it is
        written whole. Raises ArgumentError if nothing differs, and for a report of two .onnx files; FileError.
        """
        return services.write_reproduction(folder, self, overwrite)

    def table(self) -> Table:
        """A rich table: backend, output, shape, dtype, max error, budget used, verdict."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for title, justify in (*_COLUMNS, *_NUMBERS):
            fold = "fold" if title in ("output", "shape") else "ellipsis"
            table.add_column(title, justify=justify, overflow=fold, no_wrap=title == "verdict")  # type: ignore[arg-type]
        for row in self.rows:
            style = {"differs": "bold red", "exact": "green", "ok": "green", "close": "green"}[row.verdict]
            error, used = _number(row.max_error), _percent(row.used)
            names = (Text(printable(name)) for name in (row.backend, row.output, row.shape, row.dtype))
            table.add_row(*names, error, used, Text(row.verdict, style))
        return table

    def __repr__(self) -> str:
        most = max((row.used for row in self.rows), default=0.0)
        verdict = "ok" if self.ok else "differs"
        return f"<Report {verdict}: {len(self.rows)} outputs, {len(self.cases)} cases, {_percent(most)} of the budget>"

    def _repr_html_(self) -> str:
        """The table that a notebook shows."""
        numbers = ("max error", "scale", "relative", "budget used")
        table = html_table([*(title for title, _ in _COLUMNS), *numbers, "verdict"], map(_cells, self.rows), numbers)
        notes = [f"{row.backend}, {row.output}: {row.note}" for row in self.rows if row.note]
        notes += [f"{name}: {each}" for name, each in self.scores.items()]
        notes += [f"{name}: {told}" for name, told in self.explained.items()]
        notes += [self.not_run] * bool(self.not_run)
        if not all(row.ok for row in self.rows):
            notes.append(str(self.first_divergence or UNKNOWN))
        return table + "".join(f"<p>{escape(printable(note))}</p>" for note in notes)

    def __str__(self) -> str:
        import io

        from rich.console import Console

        console = Console(file=io.StringIO(), width=100, color_system=None, legacy_windows=False, force_jupyter=False)
        console.print(self.table())
        for row in self.rows:
            if row.note:
                console.print(printable(f"{row.backend}, {row.output}: {row.note}"), markup=False, highlight=False)
        for name, (read, rows) in self.rows_read.items():
            if read < rows:
                share = f"{100 * read / rows:.2g} %"
                line = (
                    f"{name} read {read} of the {rows} rows of its table, {share}: a wrong row may be among the others"
                )
                console.print(printable(line), markup=False, highlight=False)
        for name, each in self.scores.items():
            console.print(printable(f"{name}: {each}"), markup=False, highlight=False)
        for line in (*(f"{name}: {told}" for name, told in self.explained.items()), self.not_run):
            if line:
                console.print(printable(line), markup=False, highlight=False)
        if not all(row.ok for row in self.rows):
            console.print(printable_lines(str(self.first_divergence or UNKNOWN)), markup=False, highlight=False)
        text: str = console.file.getvalue()  # type: ignore[attr-defined]
        return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def _cells(row: Row) -> list[str]:
    relative = "-" if row.relative is None else _number(row.relative)
    numbers = [_number(row.max_error), _number(row.scale), relative, _percent(row.used)]
    return [row.backend, row.output, row.shape, row.dtype, *numbers, row.verdict]


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _number(number: float) -> str:
    return "0" if number == 0 else f"{number:.2g}"


def _percent(share: float) -> str:
    if share == 0:
        return "0 %"
    if not math.isfinite(share):
        return "all"
    if share >= 100:
        return ">9999 %"
    return f"{100 * share:.2g} %" if share < 1 else f"{100 * share:.0f} %"
