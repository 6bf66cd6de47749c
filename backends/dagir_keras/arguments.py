"""Arguments of layer calls that inference does not read, such as the mask of a BatchNormalization.

A graph has only what its outputs need. A layer of Keras is called with all arguments, for training reads them too.
"""

from __future__ import annotations

from collections.abc import Callable

from dagir.ir.graph import Graph, Value
from dagir.ir.leaves import is_leaf
from dagir.passes.outline import arguments
from dagir.support.location import LayerCall


def with_arguments(graph: Graph, native: Callable[[LayerCall], bool], within: LayerCall | None) -> Graph:
    """The graph with more outputs: the arguments of calls that become layers of Keras, where its inputs give them."""
    while True:
        known = {value for node in graph.nodes for value in node.outputs} | set(graph.inputs)
        calls = dict.fromkeys(node.scope.within(within) for node in graph.nodes if node.scope is not None)
        read = [value for call in calls if call is not None and native(call) for value in arguments(call)]
        missing = [value for value in dict.fromkeys(read) if value not in known and _follows(value, known)]
        if not missing:
            return graph
        graph = Graph(graph.inputs, [*graph.outputs, *missing], graph.name)  # the new outputs may add calls


def are_among(call: LayerCall, given: tuple[Value, ...]) -> bool:
    """Whether each argument of a layer call is one of the values, or a parameter or constant."""
    known = set(given)
    return all(value in known or is_leaf(value) for value in arguments(call))


def _follows(value: Value, known: set[Value]) -> bool:
    """Whether a result of a node can be computed from the known values."""
    if value.node is None:
        return False
    seen: set[Value] = set()
    pending = [value]
    while pending:
        found = pending.pop()
        if found in known or found in seen or is_leaf(found):
            continue
        if found.node is None:
            return False
        seen.add(found)
        pending.extend(operand for operand in found.node.inputs if operand is not None)
    return True
