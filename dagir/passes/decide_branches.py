"""Branches whose condition is known: the branch that runs becomes part of the graph, the other one goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagir.ir.graph import Constant, Graph, Node, Value
from dagir.ir.rewriter import Operands, copy_node, rebuild
from dagir.ops import Call, If
from dagir.passes.inline import inlined
from dagir.passes.pipeline import Pass


@dataclass(frozen=True)
class DecideBranches(Pass):
    """y = If(left, right)(True, xs)   =>   the nodes of left, applied to xs

    A condition on sizes becomes a constant once the sizes are known, by constant folding.
    """

    name = "decide-branches"

    def __call__(self, graph: Graph) -> Graph:
        """Rewrite in one walk; branches inside a branch are decided by the same pass on it."""
        return rebuild(graph, _decided)


def _decided(node: Node, operands: Operands) -> Sequence[Value] | None:
    if not isinstance(node.op, If) or operands[0] is None or not isinstance(operands[0].source, Constant):
        return None
    branch = node.op.then_branch if operands[0].source.array else node.op.else_branch
    call = copy_node(node, operands[1:], Call(DecideBranches()(branch)))
    return inlined(call, operands[1:])
