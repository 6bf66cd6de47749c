"""What a pass is, how a pipeline runs, and the pipelines, each step with its reason."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from dagir.errors import ArgumentError
from dagir.ir.graph import Graph


@dataclass(frozen=True)
class Pass:
    """Graph -> Graph; the old graph is untouched, and is returned itself where nothing changed."""

    name: ClassVar[str] = "pass"

    def __call__(self, graph: Graph) -> Graph:
        """Rewrite the graph."""
        raise NotImplementedError(f"{type(self).__name__} rewrites nothing")


Pipeline: TypeAlias = Sequence[tuple[Pass, str]]


def run(graph: Graph, pipeline: Pipeline, disable: Collection[str] = ()) -> Graph:
    """The graph after every pass of the pipeline, those named in `disable` left out. Raises ArgumentError."""
    names = [step.name for step, _ in pipeline]
    for name in disable:
        if name not in names:
            raise ArgumentError(f"there is no pass {name!r}", remedy=f"passes: {', '.join(dict.fromkeys(names))}")
    for step, _ in pipeline:
        if step.name not in disable:
            graph = step(graph)
    return graph
