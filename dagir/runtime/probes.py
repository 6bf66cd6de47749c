"""Points: the values inside a model that can be watched while it runs somewhere, and their names.

A point is a value of the model's graph with nested models inlined, by its name in `value_names`. A backend tells
which points still exist after its passes, and its own names for them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from dagir.ir.graph import Graph, Value
from dagir.ir.naming import value_names
from dagir.ir.value_map import Standing, compose, recorded
from dagir.modeling.model import Model
from dagir.passes import DEPLOY, Inline, run
from dagir.passes.pipeline import Pipeline


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
        graph = Inline()(given)
    named = value_names(graph)
    values = {named[value]: value for node in graph.nodes for value in node.outputs}
    outer = compose([value for node in given.nodes for value in node.outputs], steps)
    where = {value: named[standing.value] for value, standing in outer.items() if standing.value in named}
    return Points(graph, values, where)


def points_after(
    points: Points, pipeline: Pipeline = DEPLOY, disable: Collection[str] = ()
) -> tuple[Graph, dict[str, Standing]]:
    """The graph after a pipeline, and its value for each point that still exists."""
    with recorded() as steps:
        graph = run(points.graph, pipeline, disable)
    return graph, standing_in(points, graph, steps)


def standing_in(points: Points, graph: Graph, steps: Sequence[Mapping[Value, Standing]]) -> dict[str, Standing]:
    """The points that still exist in a graph after passes."""
    alive = {value for node in graph.nodes for value in node.outputs}
    standings = compose(list(points.values.values()), steps)
    found = {name: standings[value] for name, value in points.values.items()}
    return {name: standing for name, standing in found.items() if standing.value in alive}
