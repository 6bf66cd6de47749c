"""Run passes on the graphs inside ops: other passes rewrite one graph, not the branches and bodies of its nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dagir.ir.graph import Graph, Node, Value
from dagir.ir.rewriter import Operands, copy_node, rebuild
from dagir.ops import Call
from dagir.passes.pipeline import Pass, Pipeline, run


@dataclass(frozen=True)
class Bodies(Pass):
    """Scan(body)(xs)         =>   Scan(body after `steps`)(xs)

    If(left, right)(c, xs) =>   If(left after `steps`, right after `steps`)(c, xs); so with Loop
    """

    name = "bodies"
    steps: Pipeline = ()

    def __call__(self, graph: Graph) -> Graph:
        """Rewrite the bodies, nested ones too; the graph itself is returned if no body changes."""
        return self._rewritten(graph, {})

    def _rewritten(self, graph: Graph, done: dict[Graph, Graph]) -> Graph:
        """The same. done: the bodies that were rewritten, for a graph may be held by many nodes."""

        def new(body: Graph) -> Graph:
            if body not in done:
                done[body] = self._rewritten(run(body, self.steps), done)
            return done[body]

        def transform(node: Node, operands: Operands) -> Sequence[Value] | None:
            if isinstance(node.op, Call):
                return None
            before = {name: getattr(node.op, name) for name in node.op.graph_fields}
            after = {name: new(body) for name, body in before.items()}
            return None if before == after else copy_node(node, operands, replace(node.op, **after)).outputs

        return rebuild(graph, transform)
