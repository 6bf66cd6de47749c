"""Slices that together are all of an axis become one node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagir import ops
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.rewriter import Operands, copy_node, rebuild
from dagir.passes.pipeline import Pass

_Part = tuple[int, int, Node]  # where a part begins and ends, and the node that takes it


@dataclass(frozen=True)
class MergeSlices(Pass):
    """a = x[:, :3]; b = x[:, 3:]   =>   a, b = Split(x), if a and b are all of an axis of known size"""

    name = "merge-slices"

    def __call__(self, graph: Graph) -> Graph:
        """One walk that finds the slices of each value, and one that replaces those that follow each other."""
        whole = {node: parts for parts in _found(graph) if _are_all(parts) for _, _, node in parts}
        made: dict[Node, Value] = {}

        def merge(node: Node, operands: Operands) -> Sequence[Value] | None:
            if node not in whole:
                return None
            if node not in made:
                parts = whole[node]
                op = ops.Split(_axis(node), tuple(stop - start for start, stop, _ in parts))
                outputs = copy_node(node, operands, op).outputs
                made.update((part, output) for (_, _, part), output in zip(parts, outputs, strict=True))
            return [made[node]]

        return rebuild(graph, merge)


def _axis(node: Node) -> int:
    assert isinstance(node.op, ops.Slice)
    return node.op.axes[0]


def _found(graph: Graph) -> list[list[_Part]]:
    """The slices along one axis of each value, in the order of their places, each place once."""
    found: dict[tuple[Value, int], dict[tuple[int, int], Node]] = {}
    for node in graph.nodes:
        op, x = node.op, node.inputs[0] if node.inputs else None
        if not isinstance(op, ops.Slice) or x is None or len(op.axes) != 1 or op.steps != (1,):
            continue
        size = x.type.shape[op.axes[0]]
        if isinstance(size, int):
            start, stop, _ = slice(op.starts[0], op.stops[0]).indices(size)
            found.setdefault((x, op.axes[0]), {}).setdefault((start, stop), node)
    return [sorted(((*place, node) for place, node in parts.items()), key=lambda p: p[:2]) for parts in found.values()]


def _are_all(parts: Sequence[_Part]) -> bool:
    """Whether there are several, and each begins where the one before it ends, from the first element to the last."""
    x = parts[0][2].inputs[0]
    assert x is not None
    size = x.type.shape[_axis(parts[0][2])]
    edges = [start for start, _, _ in parts], [stop for _, stop, _ in parts]
    return len(parts) > 1 and edges[0] == [0, *edges[1][:-1]] and edges[1][-1] == size and min(edges[1]) > 0
