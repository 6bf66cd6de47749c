"""Equations between sizes that the data decide become checks in the graph: no runtime asks for them by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagir.ir.data_sizes import made_in
from dagir.ir.dims import symbols
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.rewriter import Operands, copy_node, rebuild
from dagir.ir.types import Equation
from dagir.ops import EqualSizes
from dagir.passes.pipeline import Pass


@dataclass(frozen=True)
class CheckSizes(Pass):
    """y = Add(a: [n], b: [m])   =>   y = Add(EqualSizes(n, m)(a), b), where data decide n or m"""

    name = "check-sizes"

    def __call__(self, graph: Graph) -> Graph:
        """Rewrite in one walk."""
        made = made_in(graph)

        def checked(node: Node, operands: Operands) -> Sequence[Value] | None:
            first = operands[0] if operands else None
            found = [e for e in node.equations if _hangs_on(made, e)]
            if not found or first is None or isinstance(node.op, EqualSizes):
                return None
            op = EqualSizes(tuple(e.left for e in found), tuple(e.right for e in found))
            return copy_node(node, (_check(node, op, first), *operands[1:])).outputs

        return rebuild(graph, checked) if made else graph


def _check(node: Node, op: EqualSizes, value: Value) -> Value:
    """The value behind a check, at the layer and the source line of the node that needs it."""
    return Node(op, (value,), (value.type,), scope=node.scope, location=node.location).outputs[0]


def _hangs_on(made: dict[str, None], equation: Equation) -> bool:
    return not made.keys().isdisjoint(symbols(equation.left) | symbols(equation.right))
