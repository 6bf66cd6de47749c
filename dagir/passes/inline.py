"""Inline: the graphs of nested models become part of the graph that calls them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dagir.ir.data_sizes import escaping, fresh_size, made_in
from dagir.ir.dims import Dim, substitute, symbol
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.rewriter import Operands, copy_node, rebuild
from dagir.ir.types import Equations
from dagir.ops import Call
from dagir.ops.call import bind_sizes
from dagir.passes.pipeline import Pass
from dagir.support.location import LayerCall


@dataclass(frozen=True)
class Inline(Pass):
    """y = Call(graph)(x)   =>   the nodes of graph, applied to x; the model's path is put before their layer paths."""

    name = "inline"

    def __call__(self, graph: Graph) -> Graph:
        """Rewrite in one walk that enters nested calls: each node is copied once, at any depth."""
        return rebuild(graph, inlined)


@dataclass(frozen=True)
class _Frame:
    """A Call that the walk is in: its operands in the outermost graph, and its nodes that are still to be copied."""

    call: Node
    steps: Iterator[Node]
    values: dict[Value | None, Value | None]
    sizes: dict[str, Dim]
    scope: LayerCall | None
    scopes: dict[LayerCall, LayerCall]

    @classmethod
    def of(
        cls,
        call: Node,
        operands: Operands,
        scope: LayerCall | None,
        equations: Equations,
        outer: Mapping[str, Dim] = {},
    ) -> _Frame:
        assert isinstance(call.op, Call)
        graph = call.op.graph
        given = [value.type for value in operands if value is not None]
        sizes = bind_sizes(equations, graph.name, [value.type for value in graph.inputs], given)
        sizes |= _sizes_inside(call.op, graph, outer)
        values: dict[Value | None, Value | None] = {None: None, **dict(zip(graph.inputs, operands, strict=True))}
        return cls(call, iter(graph.nodes), values, sizes, scope, {})


def _sizes_inside(op: Call, graph: Graph, outer: Mapping[str, Dim]) -> dict[str, Dim]:
    """The names of the sizes that data decide in a graph: what those that outputs have are called outside, by the call
    and by the sizes of the graph around it, and new names for the others.
    """
    made = made_in(graph)
    if not made:
        return {}
    shown = op.renamed() or {name: symbol(name) for name in escaping(graph)}
    return {name: substitute(shown[name], outer) if name in shown else fresh_size(name) for name in made}


def inlined(node: Node, operands: Operands) -> Sequence[Value] | None:
    """The outputs of a Call on these operands, from copies of the nodes inside; None for another node."""
    if not isinstance(node.op, Call):
        return None
    left_open = Equations()  # size equations that calls leave open: the next copied node takes them
    frames = [_Frame.of(node, operands, node.scope, left_open)]
    while True:
        frame = frames[-1]
        step = next(frame.steps, None)
        if step is None:
            made = _outputs(frames.pop())
            if not frames:
                return made
            frames[-1].values.update(zip(frame.call.outputs, made, strict=True))
            continue
        inner = tuple([frame.values.get(value, value) for value in step.inputs])
        scope = _below(step.scope, frame.scope, frame.scopes)
        if isinstance(step.op, Call):
            frames.append(_Frame.of(step, inner, scope, left_open, frame.sizes))
            continue
        moved = copy_node(step, inner, step.op.substitute(frame.sizes), scope=scope, equations=left_open.taken())
        frame.values.update(zip(step.outputs, moved.outputs, strict=True))


def _outputs(frame: _Frame) -> list[Value]:
    assert isinstance(frame.call.op, Call)
    outputs = frame.call.op.graph.outputs
    return [found for value in outputs if (found := frame.values.get(value, value)) is not None]


def _below(scope: LayerCall | None, parent: LayerCall | None, known: dict[LayerCall, LayerCall]) -> LayerCall | None:
    if scope is None or parent is None:
        return scope or parent
    if scope not in known:
        outer = parent if scope.parent is None else _below(scope.parent, parent, known)
        known[scope] = LayerCall(scope.layer, outer, scope.location, scope.args, scope.kwargs)
        known[scope].outputs = scope.outputs
    return known[scope]
