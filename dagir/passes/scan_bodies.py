"""Run passes on the bodies of scans: other passes rewrite one graph, not the graphs inside its ops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dagir.ir.graph import Graph, Node, Value
from dagir.ir.rewriter import Operands, copy_node, rebuild
from dagir.ops import Scan
from dagir.passes.pipeline import Pass, Pipeline, run


@dataclass(frozen=True)
class ScanBodies(Pass):
    """Scan(body)(xs)   =>   Scan(body after `steps`)(xs)"""

    name = "scan-bodies"
    steps: Pipeline = ()

    def __call__(self, graph: Graph) -> Graph:
        """Rewrite the bodies, nested ones too; the graph itself is returned if no body changes."""

        def transform(node: Node, operands: Operands) -> Sequence[Value] | None:
            if not isinstance(node.op, Scan):
                return None
            body = self(run(node.op.body, self.steps))
            return None if body is node.op.body else copy_node(node, operands, replace(node.op, body=body)).outputs

        return rebuild(graph, transform)
