"""How often each value of a graph is read."""

from __future__ import annotations

from collections import Counter

from dagir.ir.graph import Graph, Value


def count_uses(graph: Graph) -> Counter[Value]:
    """For each value, the number of times that nodes read it, plus the number of times it is a graph output."""
    uses: Counter[Value] = Counter(graph.outputs)
    for node in graph.nodes:
        for value in node.inputs:
            if value is not None:
                uses[value] += 1
    return uses
