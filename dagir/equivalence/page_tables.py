"""The tables of a report page: the outputs, and a row for each node."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from dagir.equivalence.closeness import SCALED, Criterion
from dagir.equivalence.comparison import Finding
from dagir.equivalence.inspection import BINS, NodeRow, relative
from dagir.equivalence.page_graph import Colouring
from dagir.equivalence.page_scales import BUDGET, RELATIVE
from dagir.equivalence.report import Report, Row
from dagir.equivalence.report_tables import MEASURES, NAMES, by_judge, cells_of
from dagir.support.printable import printable, printable_lines

_OUTPUTS = (*NAMES, "max error", "scale", "relative", "budget used", "verdict", "")
_CLOSE = (*NAMES, *MEASURES, "")


def text(given: object) -> str:
    """Text of a file or a model, for the page: what a terminal would not print is spelled out, markup is escaped."""
    return escape(printable(str(given)), quote=True)


def lines(given: str) -> str:
    """The same for text with lines of its own."""
    return escape(printable_lines(given), quote=True)


def outputs(report: Report) -> str:
    """A row for each output of each side that error budgets judge, and one for each measure that thresholds judge."""
    by_budget, by_thresholds = by_judge(report.rows)
    found = _table(_OUTPUTS, [_by_budget(row) for row in by_budget], "cards") if by_budget or not by_thresholds else ""
    measures = [_measure(row, each) for row in by_thresholds for each in row.criteria]
    return found + (_table(_CLOSE, measures, "cards") if measures else "")


def _by_budget(row: Row) -> str:
    ratio = "-" if row.relative is None else number(row.relative)
    cells = (
        *_identity(row),
        _numeric(row.max_error, number(row.max_error)),
        _numeric(row.scale, number(row.scale)),
        _numeric(row.relative or 0.0, ratio),
        _share(row.used),
        f"<td class={'ok' if row.ok else 'bad'}>{row.verdict}",
        f"<td class=note>{text(row.note)}",
    )
    return "<tr>" + "".join(_labelled(cell, title) for cell, title in zip(cells, _OUTPUTS, strict=True))


def _measure(row: Row, each: Criterion) -> str:
    measure, found, allowed, verdict = map(text, cells_of(each))
    note = text(row.note) if each.measure == SCALED else ""
    judged = {True: " class=ok", False: " class=bad", None: ""}[each.ok]
    cells = (*_identity(row), f"<td>{measure}", f"<td class=n>{found}", f"<td>{allowed}", f"<td{judged}>{verdict}")
    titled = zip((*cells, f"<td class=note>{note}"), _CLOSE, strict=True)
    return "<tr>" + "".join(_labelled(cell, title) for cell, title in titled)


def _identity(row: Row) -> list[str]:
    return [f"<td>{text(each)}" for each in (row.backend, row.output, row.shape, row.dtype)]


def nodes(
    rows: Sequence[NodeRow], places: Sequence[int | None], colours: Colouring, backends: Sequence[str], narrow: set[str]
) -> str:
    """A row for each node, which the page's script shows beside the graph too. narrow: backends without a budget."""
    table = colours.scale not in (BUDGET, RELATIVE)
    head = ["#", "node", "layer", "op", "array", "written at", *backends, *([colours.scale.title] if table else [])]
    head += ["max error", "scale", "relative", "errors"]
    body = []
    for place, (row, box) in enumerate(zip(rows, places, strict=True)):
        worst = row.worst
        cells = [
            f"<td class=n data-v={place}>{place}",
            f"<td><a href='#row{place}'>{text(row.name)}</a>",
            f"<td class=hidden>{text(row.layer)}",
            f"<td><code>{text(row.op)}</code>",
            f"<td class=wide>{text(row.shape)}",
            f"<td class=wide>{text(row.source)}",
            *(_of_side(row.findings.get(name), row.titles.get(name, ""), name in narrow) for name in backends),
        ]
        if table:
            told = colours.numbers[row.name]
            cells.append(_coloured(told, colours.scale.step(told).name, colours.scale.text(told)))
        cells += _errors(worst)
        cells.append(f"<td class=wide>{'' if narrow else _bars(row.counts)}")
        held = "" if box is None else f" data-part={box}"
        body.append(f"<tr id=row{place}{held}>{''.join(cells)}")
    return _table(head, body, "nodes")


def number(given: float) -> str:
    """A number with two digits."""
    return "0" if given == 0 else f"{given:.2g}" if math.isfinite(given) else "not finite"


def _table(head: Sequence[str], body: Sequence[str], kind: str) -> str:
    titles = "".join(
        f"<th scope=col class='{_hidden(title, kind)}'><button type=button>{escape(title)}</button>"
        if title
        else "<th>"
        for title in map(printable, head)
    )
    return f"<div class=scroll><table class={kind}><thead><tr>{titles}<tbody>{''.join(body)}</table></div>"


def _hidden(title: str, kind: str) -> str:
    """The class of a column that a narrow screen leaves out, or the table altogether: it is shown beside the graph."""
    if kind != "nodes":
        return ""
    if title == "layer":
        return "hidden"
    return "wide" if title in ("array", "written at", "max error", "scale", "errors") else ""


def _labelled(cell: str, title: str) -> str:
    return cell.replace("<td", f"<td data-label='{escape(title, quote=True)}'", 1)


def _numeric(sortable: float, shown: str, classes: str = "n") -> str:
    return f"<td class='{classes}' data-v={_sortable(sortable)}>{shown}"


def _coloured(given: float | None, step: str, shown: str, title: str = "") -> str:
    told = f" title='{text(title)}'" if title else ""
    return f"<td class='n {step}' data-v={-1 if given is None else _sortable(given)}{told}>{shown}"


def _share(used: float) -> str:
    return _coloured(used, BUDGET.step(used).name, BUDGET.text(used))


def _of_side(finding: Finding | None, title: str, is_narrow: bool) -> str:
    scale = RELATIVE if is_narrow else BUDGET
    given = None if finding is None else relative(finding) if is_narrow else finding.used
    return _coloured(given, scale.step(given).name, scale.text(given), title)


def _errors(worst: Finding | None) -> list[str]:
    if worst is None:
        return ["<td class='n wide' data-v=-1>-", "<td class='n wide' data-v=-1>-", "<td class=n data-v=-1>-"]
    ratio = relative(worst)
    return [
        _numeric(worst.max_error, number(worst.max_error), "n wide"),
        _numeric(worst.scale, number(worst.scale), "n wide"),
        _numeric(ratio, number(ratio)),
    ]


def _sortable(given: float) -> str:
    return f"{given:.6g}" if math.isfinite(given) else "1e300"


def _bars(counts: Sequence[int]) -> str:
    """A histogram: first the exact elements, then one bar for each bin, with a line at the limit of the budget."""
    if not counts or not sum(counts):
        return ""
    width, height, limit = 5, 22, 1 + BINS.index(1.0) + 1
    top = math.log1p(max(counts))
    bars = {"exact": "", "within": "", "beyond": ""}
    for place, count in enumerate(counts):
        tall = height * math.log1p(count) / top
        kind = "exact" if place == 0 else "beyond" if place >= limit else "within"
        if count:
            bars[kind] += f"M{place * width} {height}v-{tall:.1f}h{width - 1}v{tall:.1f}z"
    beyond = sum(counts[limit:])
    told = f"{counts[0]:,} exact, {sum(counts[1:limit]):,} within their budget, {beyond:,} beyond it"
    paths = "".join(f"<path class=bar-{kind} d='{path}'/>" for kind, path in bars.items() if path)
    line = f"<line class=limit x1={limit * width - 0.5} x2={limit * width - 0.5} y1=0 y2={height} />"
    size = f"width={len(counts) * width} height={height}"
    return f"<svg {size} role=img aria-label='{told}'><title>{told}</title>{paths}{line}</svg>"
