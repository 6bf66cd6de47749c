"""Inline: the graphs of nested models become part of the graph that calls them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagir.graph import Graph, Node, Value
from dagir.ops import Call
from dagir.ops.call import bind_sizes
from dagir.origin import LayerCall
from dagir.passes.pipeline import Pass
from dagir.rewriting import Operands, copy_node, rebuild


@dataclass(frozen=True)
class Inline(Pass):
    """y = Call(graph)(x)   =>   the nodes of graph, over x; layer paths get the model's path in front."""

    name = "inline"

    def __call__(self, graph: Graph) -> Graph:
        """Until no Call is left."""
        while any(isinstance(node.op, Call) for node in graph.nodes):
            graph = rebuild(graph, _inline)
        return graph


def _inline(node: Node, operands: Operands) -> Sequence[Value] | None:
    if not isinstance(node.op, Call):
        return None
    inner = node.op.graph
    scopes: dict[LayerCall, LayerCall] = {}
    given = [value.type for value in operands if value is not None]
    sizes = bind_sizes(inner.name, [value.type for value in inner.inputs], given)
    values: dict[Value | None, Value | None] = {None: None, **dict(zip(inner.inputs, operands, strict=True))}
    for step in inner.nodes:
        operand = tuple([values.get(value, value) for value in step.inputs])
        moved = copy_node(step, operand, step.op.substitute(sizes), scope=_below(step.scope, node.scope, scopes))
        values.update(zip(step.outputs, moved.outputs, strict=True))
    return [found for value in inner.outputs if (found := values.get(value, value)) is not None]


def _below(scope: LayerCall | None, parent: LayerCall | None, known: dict[LayerCall, LayerCall]) -> LayerCall | None:
    if scope is None or parent is None:
        return scope or parent
    if scope not in known:
        outer = parent if scope.parent is None else _below(scope.parent, parent, known)
        known[scope] = LayerCall(scope.layer, outer, scope.location, scope.args, scope.kwargs)
        known[scope].outputs = scope.outputs
    return known[scope]
