"""What `model.summary()` prints: a table of the model's parts, and the counts of its weights."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from dagir.display.layer_graph import Anatomy, Part, anatomy, count, size
from dagir.errors import ArgumentError
from dagir.layers.base import Layer
from dagir.modeling.model import Model
from dagir.support.printable import printable, printable_lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_WIDEST = {"Layer (type)": 60, "Output Shape": 60, "Param #": 24, "Connected to": 60, "Trainable": 9}
_NATURAL_WIDTH = sum(_WIDEST.values()) + 20


@dataclass(frozen=True)
class Row:
    """One part. depth: how many models it is inside of."""

    depth: int
    name: str
    kind: str
    shape: str
    params: str
    connected: str
    trainable: str

    def cell(self, heading: str) -> str:
        """The text under a heading."""
        if heading == "Layer (type)":
            return f"{self.name} ({self.kind})"
        cells = {
            "Output Shape": self.shape,
            "Param #": self.params,
            "Connected to": self.connected,
            "Trainable": self.trainable,
        }
        return cells[heading]


@dataclass(frozen=True)
class Sheet:
    """The content of a summary, before the layout. totals: (label, number of elements, bytes)."""

    name: str
    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    totals: tuple[tuple[str, int, int], ...]


def sheet(
    model: Model,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> Sheet:
    """The parts of a model in Keras's order, and its counts. Raises ArgumentError for an unknown layer_range."""
    whole = anatomy(model)
    rows: list[Row] = []
    chain = _add_rows(rows, whole, _within(whole, layer_range), expand_nested, 0)
    headings = ["Layer (type)", "Output Shape", "Param #"]
    if not chain:
        headings.append("Connected to")
    if show_trainable:
        headings.append("Trainable")
    return Sheet(model.name, tuple(headings), tuple(rows), _totals(model, whole))


def print_summary(
    model: Model,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], object] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> None:
    """Print the summary of a model: to stdout, or line by line through print_fn. See Model.summary."""
    found = sheet(model, expand_nested, show_trainable, layer_range)
    if print_fn is None:
        _render(found, _stdout(line_length), line_length, positions)
        return
    text = io.StringIO()
    _render(found, _plain(text, line_length), line_length, positions)
    for line in text.getvalue().splitlines():
        print_fn(line)


def summary_html(model: Model) -> str:
    """The summary as an HTML table."""
    found = sheet(model)
    left = "text-align:left; white-space:pre-line"
    right = "text-align:right"
    styles = [right if heading == "Param #" else left for heading in found.headings]
    head = "".join(f'<th style="{s}">{escape(h)}</th>' for h, s in zip(found.headings, styles, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f'<td style="{s}">{_html_cell(row, h)}</td>' for h, s in zip(found.headings, styles, strict=True))
        + "</tr>"
        for row in found.rows
    )
    totals = "<br>".join(
        f"<b>{label} params:</b> {number:,} ({readable_bytes(taken)})" for label, number, taken in found.totals
    )
    return (
        f"<div><b>Model: {escape(found.name)}</b><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"{totals}</div>"
    )


def readable_bytes(number: float) -> str:
    """A number of bytes as Keras writes it: 215.04 KB."""
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1024:
            return f"{number:.2f} {unit}"
        number /= 1024
    return f"{number:.2f} TB"


def shape_text(types: Sequence[Any]) -> str:
    """The shapes of some tensors: one as a tuple, several as a list of tuples, sizes by name."""
    shapes = [f"({', '.join(map(str, type.shape))}{',' if type.rank == 1 else ''})" for type in types]
    return shapes[0] if len(shapes) == 1 else f"[{', '.join(shapes)}]"


# ---- the rows


def _add_rows(rows: list[Row], whole: Anatomy, parts: Sequence[Part], expand_nested: bool, depth: int) -> bool:
    """Add the rows of parts, and below them the rows of their inner parts. Returns whether all are plain chains."""
    chain = whole.is_chain
    for part in parts:
        rows.append(_row(part, depth))
        if expand_nested and part.inner is not None:
            inner = anatomy(part.inner)
            chain &= _add_rows(rows, inner, inner.parts, expand_nested, depth + 1)
    return chain


def _row(part: Part, depth: int) -> Row:
    built = not isinstance(part.operation, Layer) or part.operation.built
    number = f"{count(part.weights):,}" if built else "0 (unbuilt)"
    shapes = "\n".join(map(shape_text, part.output_types)) or "?"
    calls = (", ".join(str(s) for s in call.sources if s is not None) for call in part.calls)
    connected = "\n".join(call for call in calls if call) or "-"
    trainable = {None: "-", True: "Y", False: "N"}[part.trainable]
    return Row(depth, part.name, part.kind, shapes, number, connected, trainable)


def _within(whole: Anatomy, layer_range: Sequence[str] | None) -> Sequence[Part]:
    if layer_range is None:
        return whole.parts
    if isinstance(layer_range, str) or len(layer_range) != 2 or not all(isinstance(name, str) for name in layer_range):
        raise ArgumentError(
            f"layer_range is the names of the first and the last layer, or patterns, got {layer_range!r}"
        )
    places = []
    for pattern in layer_range:
        found = [place for place, part in enumerate(whole.parts) if re.match(pattern, part.name)]
        if not found:
            raise ArgumentError(f"layer_range: no layer of model {whole.name!r} matches {pattern!r}")
        places.append(found)
    first, last = sorted((min(places[0]), max(places[1])))
    return whole.parts[first : last + 1]


def _totals(model: Model, whole: Anatomy) -> tuple[tuple[str, int, int], ...]:
    own = dict.fromkeys(model.weights)
    loose = [w for part in whole.parts if not isinstance(part.operation, Layer) for w in part.weights if w not in own]
    loose = list(dict.fromkeys(loose))
    trained = [*model.trainable_weights, *(weight for weight in loose if weight.trainable and model.trainable)]
    frozen = [weight for weight in (*own, *loose) if weight not in set(trained)]
    groups = {"Total": [*trained, *frozen], "Trainable": trained, "Non-trainable": frozen}
    return tuple((label, count(weights), size(weights)) for label, weights in groups.items())


# ---- laying out


def _stdout(line_length: int | None) -> Console:
    """A terminal gets colours and its own width, a notebook HTML, a pipe all columns as wide as they need."""
    from rich.console import Console

    console = Console(highlight=False)
    if line_length is None and (console.is_terminal or console.is_jupyter):
        return console
    return Console(highlight=False, width=max(line_length or _NATURAL_WIDTH, 1))


def _plain(file: io.StringIO, line_length: int | None) -> Console:
    from rich.console import Console

    width = max(line_length or _NATURAL_WIDTH, 1)
    return Console(file=file, width=width, color_system=None, force_terminal=False, force_jupyter=False)


def _render(found: Sheet, console: Console, line_length: int | None, positions: Sequence[float] | None) -> None:
    from rich.text import Text

    corner = "`- " if console.options.ascii_only else "└ "
    console.print(Text(printable(f'Model: "{found.name}"'), "bold"))
    console.print(_table(found, corner, line_length, positions))
    for label, number, taken in found.totals:
        line = Text.assemble((f" {label} params: ", "bold"), (f"{number:,}", "green"), f" ({readable_bytes(taken)})")
        console.print(line)


def _table(found: Sheet, corner: str, line_length: int | None, positions: Sequence[float] | None) -> Table:
    from rich.table import Table

    table = Table(show_lines=True, width=line_length)
    widths = _column_widths(found.headings, line_length, positions)
    for heading, width in zip(found.headings, widths, strict=True):
        justify: Any = {"Param #": "right", "Trainable": "center"}.get(heading, "left")
        table.add_column(heading, justify=justify, width=width, max_width=_WIDEST[heading], overflow="fold")
    for row in found.rows:
        table.add_row(*(_cell(row, heading, corner) for heading in found.headings))
    return table


def _cell(row: Row, heading: str, corner: str) -> Any:
    from rich.text import Text

    if heading == "Layer (type)":
        prefix = "   " * row.depth + corner if row.depth else ""
        return Text.assemble(prefix, printable(row.name), " (", (printable(row.kind), "blue"), ")")
    style = {"Param #": "green", "Trainable": "bold"}.get(heading, "")
    return Text(printable_lines(row.cell(heading)), style)


def _column_widths(
    headings: Sequence[str], line_length: int | None, positions: Sequence[float] | None
) -> list[int | None]:
    if positions is None:
        return [None] * len(headings)
    if len(positions) != len(headings) or list(positions) != sorted(positions) or positions[0] <= 0:
        raise ArgumentError(
            f"positions are where the {len(headings)} columns {', '.join(headings)} end, increasing, got {positions!r}"
        )
    scale = 1 if positions[-1] > 1 else line_length or 100
    ends = [0, *(int(position * scale) for position in positions)]
    return [max(end - start - 3, 1) for start, end in itertools.pairwise(ends)]


def _html_cell(row: Row, heading: str) -> str:
    text = escape(row.cell(heading))
    return f"<b>{escape(row.name)}</b> ({escape(row.kind)})" if heading == "Layer (type)" else text
