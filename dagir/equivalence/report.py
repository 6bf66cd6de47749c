"""The result of verify: a row for each backend and output."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from dagir.equivalence import report_tables, services
from dagir.equivalence.bisection import Divergence, Search
from dagir.equivalence.closeness import SCALED, Closeness, Criterion, Thresholds
from dagir.equivalence.comparison import Finding
from dagir.equivalence.enclosure import Enclosure
from dagir.equivalence.metric import Score
from dagir.equivalence.oracle import Expected, Oracle
from dagir.errors import VerificationError
from dagir.ir.types import Array
from dagir.runtime.backend import Executable
from dagir.support.plain_text import PlainText
from dagir.support.printable import printable, printable_lines

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from rich.console import RenderableType

    from dagir.equivalence.page_graph import Harms


@dataclass(frozen=True)
class Row:
    """One output of one backend, in its worst case. used: the share of the error budget; 1 is the limit.

    closeness: of a lower precision than the model's, which no budget for rounding judges; `used` is then the share of
    what `thresholds` allow. scale: the largest magnitude of the right answer where the error is largest.
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
    thresholds: Thresholds | None = None

    @property
    def criteria(self) -> list[Criterion]:
        """What a row of a lower precision is judged by; nothing for others, which the error budget judges."""
        if self.closeness is None or self.thresholds is None:
            return []
        found = self.thresholds.criteria(self.closeness)
        if not self.ok and not any(each.ok is False for each in found):  # one channel, which the whole does not show
            found.insert(0, Criterion(SCALED, "one or more", "none", False))
        return found

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
            **({"thresholds": self.thresholds.to_dict()} if self.thresholds is not None else {}),
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
    """What a report was made from, for closer inspection. runs: pairs of (inputs, the oracle's answers).

    findings: of each run, by the name of the executable and the place of the output.
    """

    model: Any
    oracle: Oracle
    executables: Mapping[str, Executable]
    runs: tuple[tuple[list[Array], list[Expected]], ...]
    arrays: list[Array]
    findings: Mapping[tuple[str, int], Sequence[Finding]] = field(default_factory=dict)


UNKNOWN = "no node is named: nothing before the outputs is known by a name of the model's, or shows it by itself"


@dataclass(frozen=True, repr=False)
class Report:
    """The result of verify. `.ok`, `.rows`; str() is a table.

    rows_read: for inputs that index a table, how many of its rows were read, and how many it has. scores: of each side,
    the metric that was asked for. measured: how close a narrow file was to the model that it was made from. written:
    what a certificate tells of the time when it was written. explained: of a side that differs, the cause, if the same
    side agrees without it. repeat: the call, or the command line, of the report. enclosure: where no node is named, the
    layers that the fault is in.

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
    written: Mapping[str, float] = field(default_factory=dict)
    explained: Mapping[str, str] = field(default_factory=dict)
    repeat: str = ""
    context: Context | None = field(default=None, repr=False, compare=False)
    search: Search | None = field(default=None, repr=False, compare=False)
    enclosure: Enclosure | None = None

    @property
    def ok(self) -> bool:
        """Whether every output of every backend agrees with the oracle, up to rounding, and loses no metric."""
        return all(row.ok for row in self.rows) and all(each.ok for each in self.scores.values())

    @property
    def where(self) -> str:
        """The first divergence, or between which layers the fault lies, or that neither is known."""
        return str(self.first_divergence or self.enclosure or UNKNOWN)

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
            **({"enclosure": self.enclosure.to_dict()} if self.enclosure else {}),
            "cases": [[list(shape) for shape in case.input_shapes] for case in self.cases],
            "top_1_agreement": dict(self.top_1),
            "table_rows_read": {name: {"read": read, "rows": rows} for name, (read, rows) in self.rows_read.items()},
            "scores": {name: each.to_dict() for name, each in self.scores.items()},
            **({"measured": dict(self.measured)} if self.measured else {}),
            **({"when_written": dict(self.written)} if self.written else {}),
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
        lost += [(f"why {name} differs", told) for name, told in self.explained.items()]
        by_thresholds = all(row.criteria for row in failed)
        if self._names_a_node:
            lost.append(("first divergence", self.where))
        reason = "what is allowed" if by_thresholds else "rounding explains"
        raise VerificationError(
            f"{len(failed)} of {len(self.rows)} outputs differ by more than {reason}, {self.judgement}",
            facts=[*facts, *lost],
        )

    @property
    def _names_a_node(self) -> bool:
        """Whether the first divergence is told: thresholds judge an output as a whole, and no node is sought then."""
        return self.first_divergence is not None or any(not row.ok and not row.criteria for row in self.rows)

    def write_html(
        self, path: str | os.PathLike[str], *, overwrite: bool = True, sensitivity: Harms | None = None
    ) -> Path:
        """Write one HTML page: the graph coloured by budget used, a row for every node, and histograms of the errors.

        The page needs no network. Layers that were not compared (fused, or without a counterpart) are marked as such.
        sensitivity: a table of `dagir.sensitivity` to colour the graph by; without one, a graph whose sides are all of
        a lower precision is coloured by relative error, as no error budget judges these.
        A report of two .onnx files, or of a certificate, has no graph to show: its page has the outputs alone.
        Raises FileError.
        """
        return services.write_page(self, path, overwrite, sensitivity)

    def write_reproduction(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the smallest part of both sides that still shows the first divergence, with inputs and a script.

        overwrite: whether files of the same names in the folder are replaced. If the other side cannot be cut, it is
        written whole. Raises ArgumentError if nothing differs, and for a report of two .onnx files; FileError.
        """
        return services.write_reproduction(folder, self, overwrite)

    def table(self) -> RenderableType:
        """For rich: what is judged by its error budget, and what by thresholds, each with its measures beside them."""
        return report_tables.table(self.rows)

    def __repr__(self) -> str:
        shares = [row.used for row in self.rows if not row.criteria]
        judge = f"{report_tables.percent(max(shares))} of the budget" if shares else "judged by thresholds"
        verdict = "ok" if self.ok else "differs"
        return f"<Report {verdict}: {len(self.rows)} outputs, {len(self.cases)} cases, {judge}>"

    def _repr_html_(self) -> str:
        """The tables that a notebook shows."""
        table = report_tables.html(self.rows)
        notes = report_tables.remarks(self.rows)
        notes += [f"{name}: {each}" for name, each in self.scores.items()]
        notes += [f"{name}: {told}" for name, told in self.explained.items()]
        notes += [self.not_run] * bool(self.not_run)
        if self._names_a_node:
            notes.append(self.where)
        return table + "".join(f"<p>{escape(printable(note))}</p>" for note in notes)

    def __str__(self) -> str:
        text = PlainText(100)
        text.add(self.table())
        for line in (*report_tables.remarks(self.rows), *self._unread_rows()):
            text.line(printable(line))
        for name, told in (*self.scores.items(), *self.explained.items()):
            text.line(printable(f"{name}: {told}"))
        if self.not_run:
            text.line(printable(self.not_run))
        if self._names_a_node:
            text.line(printable_lines(self.where))
        return str(text)

    def _unread_rows(self) -> Iterator[str]:
        """A line for each table of which not all rows were read."""
        for name, (read, rows) in self.rows_read.items():
            if read < rows:
                share = f"{100 * read / rows:.2g} %"
                told = f"{name} read {read} of the {rows} rows of its table, {share}"
                yield f"{told}: a wrong row may be among the others"


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
