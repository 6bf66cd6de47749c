"""A report as one HTML page that can be sent to others: it needs no network, and contains its own script."""

from __future__ import annotations

import base64
import io
import math
import os
import re
import tempfile
import zipfile
from collections.abc import Collection, Mapping, Sequence
from html import escape, unescape
from importlib import resources
from pathlib import Path

from dagir.display.graphviz import plot
from dagir.equivalence.inspection import BINS, NodeRow, node_rows
from dagir.equivalence.report import Report
from dagir.equivalence.reproduction import versions
from dagir.errors import ArgumentError, BackendError, FileError
from dagir.modeling.model import Model
from dagir.support.file_replacement import check_free, put

_MOST_DRAWN = 400
_MOST_ATTACHED = 8 << 20
NOT_COMPARED = "#cbd5e1"
"""Grey: no colour of a share, however small."""


def write_page(report: Report, path: str | os.PathLike[str], overwrite: bool = True) -> Path:
    """Write the page and return its path. Raises ArgumentError if the report has no model, FileError."""
    if report.context is None:
        raise ArgumentError("a page is made of a report of a model", remedy="two .onnx files have no float64 oracle")
    check_free(path, overwrite)
    target = Path(path)
    try:
        with tempfile.TemporaryDirectory(prefix=".page.", dir=target.parent) as folder:
            staged = Path(folder) / "page.html"
            staged.write_text(page(report), encoding="utf-8", errors="replace")
            put([(staged, target)], overwrite=overwrite)
    except OSError as error:
        raise FileError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def page(report: Report) -> str:
    """The page as text."""
    assert report.context is not None
    rows = node_rows(report.context, report.seed)
    model = report.context.model
    name = escape(model.name)
    parts = [
        f"<h1>{name}: <span class={'ok' if report.ok else 'bad'}>{'equal' if report.ok else 'differs'}</span></h1>",
        f"<p>{_facts(report)}</p>",
        _divergence(report),
        "<h2>Outputs</h2>",
        _outputs(report),
        "<h2>Graph</h2>",
        _legend(),
        f"<div class=graph>{_graph(model, rows)}</div>",
        "<h2>Nodes</h2><p>Click a heading to sort. Errors: how many elements use which share of their budget, on the "
        "backend that uses most; right of the line they exceed it.</p>",
        _nodes(report, rows),
        "<h2>Again</h2>",
        _again(report),
    ]
    head = "<meta charset=utf-8><meta name=viewport content='width=device-width'>"
    style, script = _asset("page.css"), _asset("page.js")
    body = "\n".join(part for part in parts if part)
    head += f"<title>{name}</title><style>{style}</style>"
    return f"<!doctype html><html lang=en><head>{head}</head><body>{body}<script>{script}</script></body></html>"


def _asset(name: str) -> str:
    return resources.files("dagir.equivalence").joinpath(name).read_text(encoding="utf-8")


def _facts(report: Report) -> str:
    cases = ", ".join(f"{case.kind} {[list(shape) for shape in case.input_shapes]}" for case in report.cases)
    agreement = "".join(f" Top-1 agreement of {escape(k)}: {100 * v:.4g} %." for k, v in report.top_1.items())
    return (
        f"{escape(report.judgement.capitalize())}; {len(report.cases)} cases ({escape(cases)}), seed {report.seed}, "
        f"{report.samples} disturbed evaluations, {report.seconds:.2f} s.{agreement}"
    )


def _divergence(report: Report) -> str:
    found = report.first_divergence
    if found is None:
        return ""
    also = f" with {escape(', '.join(found.also))}" if found.also else ""
    inside = f", in <code>{escape(found.where)}</code>" if found.inside else ""
    source = f", written at <code>{escape(found.source)}</code>" if found.source else ""
    return (
        f"<div class=box><b>First divergence</b> on {escape(found.backend)}: node <code>{escape(found.node)}</code>, "
        f"layer <code>{escape(found.layer)}</code>{also}, <code>{escape(found.op)}</code>{inside}{source}. "
        f"{escape(found.note)}. Found in {found.runs} runs.</div>"
    )


def _outputs(report: Report) -> str:
    head = ("backend", "output", "shape", "dtype", "max error", "budget used", "verdict", "")
    body = [
        f"<td>{escape(row.backend)}<td>{escape(row.output)}<td>{escape(row.shape)}<td>{row.dtype}"
        f"<td class=n data-v={_sortable(row.max_error)}>{row.max_error:.3g}{_used(row.used)}"
        f"<td class={'ok' if row.ok else 'bad'}>{row.verdict}<td>{escape(row.note)}"
        for row in report.rows
    ]
    return _table(head, body)


def _nodes(report: Report, rows: Sequence[NodeRow]) -> str:
    backends = list(report.context.executables) if report.context is not None else []
    head = ("#", "layer", "op", "array", "source", *backends, "errors")
    body = []
    for number, row in enumerate(rows):
        cells = "".join(_used(row.findings[b].used if b in row.findings else None) for b in backends)
        name = escape(row.layer or row.name)
        titles = escape("; ".join(f"{b}: {title}" for b, title in row.titles.items()))
        body.append(
            f"<td class=n data-v={number}>{number}<td title='{titles}'>{name}<td><code>{escape(row.op)}</code>"
            f"<td>{escape(row.shape)}<td>{escape(row.source)}{cells}<td>{_bars(row.counts)}"
        )
    return _table(head, body)


def _table(head: Sequence[str], body: Sequence[str]) -> str:
    titles = "".join(f"<th>{escape(title)}" for title in head)
    lines = "".join(f"<tr>{row}" for row in body)
    return f"<div class=wide><table><thead><tr>{titles}</thead><tbody>{lines}</tbody></table></div>"


def _used(share: float | None) -> str:
    if share is None:
        return f"<td class=n data-v=-1 style='background:{NOT_COMPARED}'>not compared"
    text = "exact" if share == 0 else "all" if not math.isfinite(share) else f"{100 * share:.3g} %"
    return f"<td class=n data-v={_sortable(share)} style='background:{colour(share)}'>{text}"


def _sortable(number: float) -> str:
    return f"{number:.6g}" if math.isfinite(number) else "1e300"


def colour(share: float | None) -> str:
    """From white over yellow to orange as the budget is used up, red beyond it; grey where nothing was compared."""
    if share is None:
        return NOT_COMPARED
    if not share <= 1:
        return "#f87171"
    if share == 0:
        return "#f8fafc"
    warm = min(1.0, share)
    low, high = (254, 252, 232), (253, 186, 116)
    mixed = [round(a + (b - a) * warm) for a, b in zip(low, high, strict=True)]
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _legend() -> str:
    steps: tuple[tuple[float | None, str], ...]
    steps = ((0.0, "exact"), (0.01, "1 %"), (0.25, "25 %"), (0.5, "50 %"), (1.0, "100 %"), (2.0, "beyond its budget"))
    steps = (*steps, (None, "not compared: fused with its neighbours, or without a counterpart"))
    spans = "".join(f"<span style='background:{colour(share)}'>{text}</span>" for share, text in steps)
    return f"<p class=legend>Largest share of the error budget used in a layer: {spans}</p>"


def _bars(counts: Sequence[int]) -> str:
    """A histogram: first the exact elements, then one bar for each bin, with a line at the limit of the budget."""
    if not counts or not sum(counts):
        return ""
    width, height, limit = 5, 22, 1 + BINS.index(1.0) + 1
    top = math.log1p(max(counts))
    bars = []
    for place, count in enumerate(counts):
        tall = height * math.log1p(count) / top
        fill = "#94a3b8" if place == 0 else "#dc2626" if place >= limit else "#2563eb"
        label = "exact" if place == 0 else f"up to {BINS[place - 1]:.3g}" if place <= len(BINS) else "more"
        bars.append(
            f"<rect x={place * width} y={height - tall:.1f} width={width - 1} height={tall:.1f} fill='{fill}'>"
            f"<title>{label} of the budget: {count}</title></rect>"
        )
    line = f"<line x1={limit * width - 0.5} x2={limit * width - 0.5} y1=0 y2={height} stroke='#64748b'/>"
    return f"<svg width={len(counts) * width} height={height}>{''.join(bars)}{line}</svg>"


def _graph(model: object, rows: Sequence[NodeRow]) -> str:
    """The drawing of dagir.plot with boxes coloured by the budget used; a list if the model cannot be drawn."""
    if not isinstance(model, Model) or len(model.layers) > _MOST_DRAWN:
        return "<p>too big to be drawn: see the nodes below</p>"
    try:
        drawn = plot(model, show_shapes=True).decode()
    except BackendError as error:
        return f"<p>{escape(error.summary)}: see the nodes below</p>"
    used: dict[str, float | None] = {}
    for row in rows:
        top = row.layer.split("/", maxsplit=1)[0] or row.name
        shares = [share for share in (used.get(top), row.used) if share is not None]
        used[top] = max(shares, default=None)
    given = {name for name, _ in model.signature.inputs}
    text = drawn[drawn.index("<svg") :]
    box = r'<g id="node\d+" class="node">.*?</g>\n(?=<!|<g|</g>)'
    return re.sub(box, lambda found: _coloured(found[0], used, given), text, flags=re.S)


def _coloured(box: str, used: Mapping[str, float | None], given: Collection[str]) -> str:
    """A box in the colour of its layer; the box of an input is left as it is, since nothing computes it."""
    title = re.search(r"<title>(.*?)</title>", box, flags=re.S)
    name = unescape(title[1]) if title is not None else ""
    if name in given and name not in used:
        return box
    share = used.get(name)
    if share is None and title is not None:
        box = box.replace(title[0], f"<title>{title[1]}: not compared</title>", 1)
    return re.sub(r'fill="#[0-9a-f]{6}"', f'fill="{colour(share)}"', box, count=1)


def _again(report: Report) -> str:
    assert report.context is not None
    names = list(report.context.executables)
    if any("." in name for name in names):  # files, by the command-line tool
        code = f"dagir-convert verify MODEL {' '.join(names)} --seed {report.seed}"
    else:
        code = f"report = dagir.verify(model, {names}, seed={report.seed}, samples={report.samples})"
    facts = ", ".join(f"{name} {version}" for name, version in versions().items())
    return f"<pre>{escape(code)}</pre>{_attachment(report)}<p>{escape(facts)}</p>"


def _attachment(report: Report) -> str:
    """The reproduction, as a file embedded in the page."""
    if report.ok:
        return ""
    packed = io.BytesIO()
    with tempfile.TemporaryDirectory(prefix="dagir-") as folder, zipfile.ZipFile(packed, "w") as file:
        for part in sorted(report.write_reproduction(folder).iterdir()):
            file.write(part, f"reproduction/{part.name}")
        script = (Path(folder) / "reproduce.py").read_text(encoding="utf-8")
    if packed.tell() > _MOST_ATTACHED:
        return "<p>What shows it is too big for this page: report.write_reproduction(folder)</p>"
    data = base64.b64encode(packed.getvalue()).decode()
    link = f"<a download=reproduction.zip href='data:application/zip;base64,{data}'>reproduction.zip</a>"
    text = f"The smallest part of both sides that still shows it, with its inputs: {link}"
    return f"<p>{text}</p><pre>{escape(script)}</pre>"
