"""Points: the values inside a model that can be watched while it runs somewhere, and their names.

A point is a value of the model's graph with nested models inlined, by its name in `value_names`. A backend tells
which points still exist after its passes, and its own names for them. The body of a branch or loop has points of its
own: it is looked into as a model by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from dagir.ir.graph import Graph, Node, Parameter, Value
from dagir.ir.naming import value_names
from dagir.ir.rewriter import copy_node, rebuild
from dagir.ir.value_map import Standing, compose, recorded
from dagir.modeling.model import Model
from dagir.ops import If, Loop, Scan
from dagir.ops.call import graphs_of
from dagir.passes import DEPLOY, Bodies, Inline, run
from dagir.passes.pipeline import Pipeline

_INLINE_BODIES = Bodies(((Inline(), "as outside"),))


@dataclass(frozen=True)
class Points:
    """graph: with nested models inlined. values: its points by name, in the order of the nodes.

    where: the point of each value of the given graph, in which models are still nested.
    """

    graph: Graph
    values: Mapping[str, Value]
    where: Mapping[Value, str]

    @property
    def names(self) -> dict[Value, str]:
        """The name of each point."""
        return {value: name for name, value in self.values.items()}


def points_of(model: Model | Graph) -> Points:
    """The points of a model: every value that a node makes."""
    given = model.graph if isinstance(model, Model) else model
    with recorded() as steps:
        graph = _INLINE_BODIES(Inline()(given))
    named = value_names(graph)
    values = _made(graph, named)
    outer = compose([value for node in given.nodes for value in node.outputs], steps)
    where = {value: named[standing.value] for value, standing in outer.items() if standing.value in named}
    return Points(graph, values, where)


def _made(graph: Graph, named: Mapping[Value, str]) -> dict[str, Value]:
    return {named[value]: value for node in graph.nodes for value in node.outputs}


@dataclass(frozen=True)
class Body:
    """The body of a node as a model by itself, in which the weights that the node reads are weights again.

    field: which body of the node it is. points: its graph and its points, by the names that they have in the body as
    the node holds it. kept: the inputs of that body that are no weights.
    """

    field: str
    points: Points
    kept: tuple[int, ...]


def holds_bodies(node: Node) -> bool:
    """Whether a node is a branch or a loop."""
    return isinstance(node.op, (If, Loop, Scan))


def body_of(node: Node, field: str) -> Body:
    """The body of a branch or a loop in the graph of `Points`."""
    assert isinstance(node.op, (If, Loop, Scan))
    body: Graph = getattr(node.op, field)
    whole = {place: node.inputs[operand] for place, operand in node.op.whole_operands().items()}
    weights = {place: x for place, x in whole.items() if x is not None and isinstance(x.source, Parameter)}
    kept = tuple([place for place in range(len(body.inputs)) if place not in weights])
    inputs = [
        weights[place] if place in weights else Value(value.type, name=value.name)
        for place, value in enumerate(body.inputs)
    ]
    copied = rebuild(body, lambda node, operands: copy_node(node, operands).outputs, inputs=inputs)
    named = value_names(body)
    pairs = zip(body.nodes, copied.nodes, strict=True)
    values = {
        named[old]: new for before, after in pairs for old, new in zip(before.outputs, after.outputs, strict=True)
    }
    graph = Graph([inputs[place] for place in kept], copied.outputs, body.name)
    return Body(field, Points(graph, values, {value: name for name, value in values.items()}), kept)


def points_of_bodies(points: Points) -> dict[Value, str]:
    """The name of each value that a node makes in the bodies of a graph, nested ones too, within its body."""
    bodies = [body for body in graphs_of(points.graph) if body is not points.graph]
    return {value: name for body in bodies for name, value in _made(body, value_names(body)).items()}


def points_after(
    points: Points, pipeline: Pipeline = DEPLOY, disable: Collection[str] = ()
) -> tuple[Graph, dict[str, Standing]]:
    """The graph after a pipeline, and its value for each point that still exists."""
    return points_and_bodies_after(points, pipeline, disable)[:2]


def points_and_bodies_after(
    points: Points, pipeline: Pipeline = DEPLOY, disable: Collection[str] = ()
) -> tuple[Graph, dict[str, Standing], dict[Value, list[str]]]:
    """The graph after a pipeline, its value for each point that still exists, and the points of values in its bodies.

    Passes keep the layout and the shape of what is in a body.
    """
    with recorded() as steps:
        graph = run(points.graph, pipeline, disable)
    inner = points_of_bodies(points)
    held: dict[Value, list[str]] = {}
    for value, standing in compose(list(inner), steps).items() if inner else ():
        if standing.axes is None and standing.shape is None:
            held.setdefault(standing.value, []).append(inner[value])
    return graph, standing_in(points, graph, steps), held


def standing_in(points: Points, graph: Graph, steps: Sequence[Mapping[Value, Standing]]) -> dict[str, Standing]:
    """The points that still exist in a graph after passes."""
    alive = {value for node in graph.nodes for value in node.outputs}
    standings = compose(list(points.values.values()), steps)
    found = {name: standings[value] for name, value in points.values.items()}
    return {name: standing for name, standing in found.items() if standing.value in alive}
