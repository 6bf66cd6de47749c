"""Weights and constants that bodies are given move into them, where the passes on bodies see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dagir import ops
from dagir.ir.graph import Graph, Node, Op, Value
from dagir.ir.leaves import is_leaf
from dagir.ir.rewriter import Operands, copy_node, rebuild
from dagir.passes.pipeline import Pass
from dagir.passes.uses import count_uses


@dataclass(frozen=True)
class CaptureLeaves(Pass):
    """If((x, w) -> f(x, w), ...)(condition, x, weight)   =>   If((x, _) -> f(x, weight), ...)(condition, x, weight)

    So with what each step of a Loop or a Scan reads whole. The body keeps its inputs, by which it is looked into.
    """

    name = "capture-leaves"

    def __call__(self, graph: Graph) -> Graph:
        """One walk, outer nodes first: what a body captures, a body within it may capture too."""
        return rebuild(graph, self._captured)

    def _captured(self, node: Node, operands: Operands) -> Sequence[Value] | None:
        op: Op = node.op
        if not isinstance(node.op, (ops.If, ops.Loop, ops.Scan)):
            return None
        whole = {place: operands[operand] for place, operand in node.op.whole_operands().items()}
        leaves = {place: leaf for place, leaf in whole.items() if leaf is not None and is_leaf(leaf)}
        bodies: dict[str, Graph] = {name: getattr(node.op, name) for name in node.op.graph_fields}
        after = {name: self(_reading(body, leaves)) for name, body in bodies.items()}
        return None if after == bodies else copy_node(node, operands, replace(op, **after)).outputs


def _reading(body: Graph, leaves: Mapping[int, Value]) -> Graph:
    """The body that reads these leaves in place of its inputs."""
    uses = count_uses(body)
    read = {
        place: leaf
        for place, leaf in leaves.items()
        if uses[body.inputs[place]] and body.inputs[place].type == leaf.type
    }
    if not read:
        return body
    inside = rebuild(
        body,
        lambda node, operands: None,
        inputs=[read.get(place, value) for place, value in enumerate(body.inputs)],
    )
    unread = [Value(value.type, name=value.name) if place in read else value for place, value in enumerate(body.inputs)]
    return Graph(unread, inside.outputs, body.name)
