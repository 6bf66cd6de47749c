"""The graph of a report page: which box holds which node, how it is coloured, and the course along the network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol

from dagir.display.dot import Paint, kind_of
from dagir.display.graphviz import painted_svg
from dagir.display.layer_graph import Part, anatomy
from dagir.display.summary_table import shape_text
from dagir.equivalence.inspection import NodeRow
from dagir.equivalence.page_scales import BUDGET, INPUT, RELATIVE, SENSITIVITY, Scale, Step
from dagir.equivalence.report import Report
from dagir.errors import ArgumentError, BackendError
from dagir.ir.graph import Graph, Node
from dagir.layers.base import Layer
from dagir.modeling.model import Model

MOST_DRAWN = 1500
"""Boxes that Graphviz lays out in a few seconds."""


class Harms(Protocol):
    """A table of `dagir.sensitivity`. Its rows have `name`, of a point, and `harm`."""

    @property
    def precision(self) -> str:
        """The dtype."""

    @property
    def whole(self) -> float:
        """The relative movement to expect where all nodes are narrowed."""

    @property
    def rows(self) -> Sequence[Any]:
        """The nodes."""


@dataclass(frozen=True)
class Colouring:
    """The number that each node is coloured by, and the scale of these numbers."""

    scale: Scale
    numbers: Mapping[str, float | None]

    def step(self, row: NodeRow) -> Step:
        """The colour of a node."""
        return self.scale.step(self.numbers[row.name])


def narrow_sides(report: Report) -> set[str]:
    """The sides of a lower precision than the model's, which the error budget says nothing about."""
    return {row.backend for row in report.rows if row.closeness is not None}


def colouring(report: Report, rows: Sequence[NodeRow], harms: Harms | None) -> Colouring:
    """By sensitivity if there is a table, else by the budget; by relative error where no side is judged by a budget."""
    if harms is not None:
        known = {each.name: float(each.harm) for each in harms.rows}
        return Colouring(SENSITIVITY, {row.name: known.get(row.name) for row in rows})
    narrow = narrow_sides(report)
    if narrow and narrow == {row.backend for row in report.rows}:
        return Colouring(RELATIVE, {row.name: row.relative for row in rows})
    return Colouring(BUDGET, {row.name: row.share(narrow) for row in rows})


def places_of(model: Model | Graph, report: Report, rows: Sequence[NodeRow]) -> list[int | None]:
    """For each row, the number of the box that holds its node, in the order of the parts of `anatomy`."""
    assert report.context is not None
    points = report.context.oracle.points
    parts = anatomy(model).parts
    layers = {part.operation: number for number, part in enumerate(parts) if isinstance(part.operation, Layer)}
    by_point: dict[str, int] = {}
    for number, part in enumerate(parts):
        if isinstance(part.operation, Node):
            by_point.update({points.where[v]: number for v in part.operation.outputs if v in points.where})
    nested = [(f"{part.name}/", number) for number, part in enumerate(parts) if isinstance(part.inner, Graph)]

    def place(row: NodeRow) -> int | None:
        node = points.values[row.name].node
        scope = node.scope.within(None) if node is not None and node.scope is not None else None
        if scope is not None and scope.layer in layers:
            return layers[scope.layer]
        inside = (number for start, number in nested if row.name.startswith(start))
        return by_point.get(row.name, next(inside, None))

    return [place(row) for row in rows]


@dataclass(frozen=True)
class Drawing:
    """svg: the graph; an empty string where `told` says why there is none. steps: the colours that its boxes have."""

    svg: str
    told: str
    steps: tuple[Step, ...]


def draw(
    model: object, rows: Sequence[NodeRow], places: Sequence[int | None], colours: Colouring, guilty: int | None
) -> Drawing:
    """The graph, each box in the colour of its worst node. guilty: the row of the first divergence."""
    if not isinstance(model, (Model, Graph)):
        return Drawing("", "This model cannot be drawn: see the nodes below.", ())
    parts = anatomy(model).parts
    if len(parts) > MOST_DRAWN:
        return Drawing("", f"Its {len(parts):,} layers are too many to be drawn: see the nodes below.", ())
    held: dict[int, list[NodeRow]] = defaultdict(list)
    for row, place in zip(rows, places, strict=True):
        if place is not None:
            held[place].append(row)
    numbers = {part.operation: number for number, part in enumerate(parts)}
    marked = None if guilty is None else places[guilty]
    steps: dict[Step, None] = {}

    def paint(part: Part) -> Paint:
        number = numbers[part.operation]
        found = _paint(part, held[number], number, colours, number == marked)
        steps[found[1]] = None
        return found[0]

    try:
        return Drawing(painted_svg(model, paint), "", tuple(steps))
    except (BackendError, ArgumentError) as error:
        remedy = f" ({error.remedy})" if error.remedy else ""
        return Drawing("", f"{error.summary}{remedy}: see the nodes below.", ())


def _paint(part: Part, rows: Sequence[NodeRow], number: int, colours: Colouring, is_guilty: bool) -> tuple[Paint, Step]:
    shapes = [shape_text([value.type]) for call in part.calls for value in call.outputs]
    is_input = kind_of(part) == "input" and not rows
    facts = [("shape" if is_input else "output", text) for text in list(dict.fromkeys(shapes))[:3]]
    known = [each for row in rows if (each := colours.numbers[row.name]) is not None]
    largest = max(known, default=None)
    step = colours.scale.step(largest)
    if is_input:
        step = INPUT
    else:
        facts.append(("used" if colours.scale.percent else "moves", colours.scale.text(largest)))
    classes = f"box {step.name}{' guilty' if is_guilty else ''}"
    return Paint(step.fill, step.line, f"part{number}", classes, step.dashed, tuple(facts)), step


def course(rows: Sequence[NodeRow], colours: Colouring) -> str:
    """A bar for each node in the order of the graph, its height by the logarithm of its number."""
    scale, tall = colours.scale, 100
    bars: dict[str, list[str]] = defaultdict(list)
    for number, row in enumerate(rows):
        height = 4 + (tall - 4) * scale.height(colours.numbers[row.name])
        bars[colours.step(row).name].append(f"M{number} {tall}v-{height:.0f}h.9v{height:.0f}z")
    paths = "".join(f"<path class={name} d='{''.join(found)}'/>" for name, found in bars.items())
    line = ""
    if scale.limit is not None:
        y = tall - 4 - (tall - 4) * scale.height(scale.limit)
        line = f"<line class=limit x1=0 x2={len(rows)} y1={y:.0f} y2={y:.0f} vector-effect=non-scaling-stroke />"
    return (
        f"<svg id=course viewBox='0 0 {max(len(rows), 1)} {tall}' preserveAspectRatio=none role=img "
        f"aria-label='{escape(scale.course, quote=True)}'><rect id=here x=-9 y=0 width=.9 height={tall} />"
        f"{paths}{line}</svg>"
    )
