"""A report as one HTML page that can be sent to others: it needs no network, and contains its own scripts."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tempfile
import zipfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from dagir.equivalence.inspection import NodeRow, node_rows
from dagir.equivalence.page_graph import Colouring, Drawing, Harms, colouring, course, draw, narrow_sides, places_of
from dagir.equivalence.page_scales import in_order, rules
from dagir.equivalence.page_tables import lines, nodes, number, outputs, text
from dagir.equivalence.report import UNKNOWN, Report
from dagir.equivalence.reproduction import versions
from dagir.errors import FileError
from dagir.support.file_replacement import check_free, put

_MOST_ATTACHED = 8 << 20


def write_page(
    report: Report, path: str | os.PathLike[str], overwrite: bool = True, sensitivity: Harms | None = None
) -> Path:
    """Write the page and return its path. Raises FileError."""
    check_free(path, overwrite)
    target = Path(path)
    try:
        with tempfile.TemporaryDirectory(prefix=".page.", dir=target.parent) as folder:
            staged = Path(folder) / "page.html"
            staged.write_text(page(report, sensitivity), encoding="utf-8", errors="replace")
            put([(staged, target)], overwrite=overwrite)
    except OSError as error:
        raise FileError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def page(report: Report, sensitivity: Harms | None = None) -> str:
    """The page as text. sensitivity: a table of `dagir.sensitivity` to colour the graph by, in place of the budget.

    A report of two .onnx files, or of a certificate, has no model whose graph could be shown: the page is without.
    """
    if report.context is None:
        return _without_a_model(report)
    rows = node_rows(report.context, report.seed)
    model = report.context.model
    places, guilty = places_of(model, report, rows), _guilty(report, rows)
    colours = colouring(report, rows, sensitivity)
    drawing = draw(model, rows, places, colours, guilty)
    body = [
        _header(str(model.name), report, sensitivity),
        _divergence(report, guilty, bool(drawing.svg)),
        f"<section><h2>Outputs</h2>{outputs(report)}</section>",
        _graph(rows, colours, drawing, guilty),
        "<section id=nodes><h2>Nodes</h2><p>A heading sorts. Errors: how many elements use which share of their "
        "budget, on the backend that uses most; right of the line they exceed it.</p>",
        nodes(rows, places, colours, list(report.context.executables), narrow_sides(report)),
        f"</section><section><h2>Repeat it</h2>{_again(report)}</section></main>",
    ]
    return _document(str(model.name), body, ["panzoom.min.js", "tables.js", "page.js"])


def _without_a_model(report: Report) -> str:
    title = ", ".join(dict.fromkeys(row.backend for row in report.rows))
    facts = "There is no graph here: no model stands behind the comparison. Compare with the model to see its nodes."
    body = [
        _header(title, report, None),
        _divergence(report, None, False),
        f"<section><h2>Outputs</h2>{outputs(report)}<p class=quiet>{facts}</p></section>",
        f"<section><h2>Repeat it</h2>{_again(report)}</section></main>",
    ]
    return _document(title, body, ["tables.js"])


def _header(title: str, report: Report, sensitivity: Harms | None) -> str:
    head = f"<p class=eyebrow>dagir: verification report</p><h1>{text(title)} {_badge(report)}</h1>"
    return f"<header>{head}<p>{_facts(report, sensitivity)}</p></header><main>"


def _document(title: str, body: Sequence[str], assets: Sequence[str]) -> str:
    """The whole page. Its policy lets the browser run these scripts alone, and load nothing."""
    style = _asset("page.css") + rules()
    scripts = list(map(_asset, assets))
    hashes = " ".join(map(_hash, scripts))
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {hashes}; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f'<meta http-equiv=Content-Security-Policy content="{policy}">'
        f"<title>{text(title)}: dagir report</title><style>{style}</style></head><body>"
        + "\n".join(part for part in body if part)
        + "".join(f"<script>{script}</script>" for script in scripts)
        + "</body></html>"
    )


def _asset(name: str) -> str:
    return resources.files("dagir.equivalence").joinpath("page_assets", name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _badge(report: Report) -> str:
    close = any(row.closeness is not None for row in report.rows)
    word = "differs" if not report.ok else "close" if close else "equal"
    return f"<span class='badge {'good' if report.ok else 'bad'}'>{word}</span>"


def _facts(report: Report, sensitivity: Harms | None) -> str:
    cases = ", ".join(f"{case.kind} {[list(shape) for shape in case.input_shapes]}" for case in report.cases)
    facts = [
        f"{report.judgement.capitalize()}; {len(report.cases)} cases ({cases}), seed {report.seed}, "
        f"{report.samples} disturbed evaluations, {report.seconds:.2f} s."
    ]
    facts += [f"Top-1 agreement of {name}: {100 * share:.4g} %." for name, share in report.top_1.items()]
    facts += [f"{name}: {score}." for name, score in report.scores.items()]
    if report.written:
        facts.append(f"When the file was written: {report.written['budget_used_percent']:.2g} % of the budget.")
    if sensitivity is not None:
        moved = number(sensitivity.whole)
        facts.append(f"All nodes in {sensitivity.precision}: the outputs move by {moved} of their size.")
    return text(" ".join(facts))


def _guilty(report: Report, rows: Sequence[NodeRow]) -> int | None:
    """The row of the first divergence; of one in a body, that of the branch or loop."""
    found = report.first_divergence
    if found is None:
        return None
    name = found.inside[0].point if found.inside else found.point
    return next((place for place, row in enumerate(rows) if row.name == name), None)


def _divergence(report: Report, guilty: int | None, is_drawn: bool) -> str:
    found = report.first_divergence
    if found is None:
        if all(row.ok for row in report.rows):
            return ""
        return f"<section class=callout><h2>No node is named</h2><p>{text(UNKNOWN)}.</p></section>"
    facts = [
        ("layer", found.layer or found.point),
        ("computed with", ", ".join(found.also)),
        ("op", found.op),
        ("node", found.node),
        ("on", found.backend),
        ("inside", found.where),
        ("written at", found.source),
        ("what is wrong", found.note),
        ("max error", f"{number(found.max_error)} on numbers up to {number(found.scale)}" if found.scale else ""),
    ]
    listed = "".join(f"<div><dt>{name}<dd>{text(fact)}</div>" for name, fact in facts if fact)
    where = "Show it in the graph" if is_drawn else "Show its numbers"
    link = "" if guilty is None else f"<a class=button href='#row{guilty}' data-graph>{where}</a>"
    runs = f"<span class=quiet>found in {found.runs} run{'s' * (found.runs > 1)}</span>" if found.runs else ""
    return f"<section class=callout><h2>First divergence</h2><dl>{listed}</dl><p>{link} {runs}</p></section>"


def _graph(rows: Sequence[NodeRow], colours: Colouring, drawing: Drawing, guilty: int | None) -> str:
    used = [*drawing.steps, *map(colours.step, rows)]
    legend = "".join(f"<li><span class='swatch {s.name}'></span>{s.label}" for s in in_order(colours.scale, used))
    jump = "" if guilty is None else f"<a class=button href='#row{guilty}' data-graph>First divergence</a>"
    zoom = (
        "<button type=button id=closer aria-label='Zoom in'>+</button><button type=button id=farther "
        "aria-label='Zoom out'>&minus;</button>"
        "<button type=button id=whole aria-label='Show the whole graph'>Fit</button>"
    )
    told = "Arrow keys move, plus and minus zoom; a click on a box shows its numbers"
    stage = (
        f"<div id=graph tabindex=0 role=application aria-label='The graph. {told}.'>{drawing.svg}</div>"
        if drawing.svg
        else f"<p class=quiet>{text(drawing.told)}</p>"
    )
    return (
        f"<section id=network><h2>Graph</h2><ul class=legend aria-label='{colours.scale.title}'>"
        f"<li class=quiet>{colours.scale.title}:{legend}</ul>{course(rows, colours)}"
        f"<p class=quiet>{colours.scale.course}.</p><div class=tools><label>Search <input type=search id=find "
        "placeholder='layer, node or op' autocomplete=off spellcheck=false></label><button type=button id=next>Next"
        f"</button><output id=found></output><span class=push></span>{jump}{zoom if drawing.svg else ''}</div>"
        f"<div class=stage>{stage}<aside id=details aria-live=polite><p class=quiet>{told}.</p></aside></div></section>"
    )


def _again(report: Report) -> str:
    facts = ", ".join(f"{name} {version}" for name, version in versions().items())
    return f"<pre><code>{lines(report.repeat)}</code></pre>{_attachment(report)}<p class=quiet>{text(facts)}</p>"


def _attachment(report: Report) -> str:
    """The reproduction, as a file embedded in the page."""
    if report.ok or report.context is None:
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
    told = f"The smallest part of both sides that still shows it, with its inputs: {link}"
    return f"<p>{told}</p><pre><code>{lines(script)}</code></pre>"
