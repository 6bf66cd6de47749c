"""The order in which Keras lists a functional model's layers, so that weights come in the same order.

Keras (keras.Function) gives every operation the depth of the longest way to an output, and lists operations from
the deepest, those of one depth in the order in which a walk back from the outputs first meets them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import Any, TypeAlias

from dagir.graph import Graph, Node, Value
from dagir.origin import LayerCall, Named
from dagir.structure import flatten_sorted

Event: TypeAlias = LayerCall | Node | Value
Operation: TypeAlias = Any  # a layer, a node or an input value: whatever Keras counts as one operation


def layers_in_keras_order(graph: Graph, outputs: Sequence[Value] | None = None) -> list[Named]:
    """The top-level layers of a graph, its input layers among them, each once.

    outputs: the outputs in the order in which Keras would walk back from them, where that is another.
    """
    if all(node.scope is None for node in graph.nodes):
        return [value.source.layer for value in graph.inputs if isinstance(value.source, LayerCall)]
    return [op for op in operations_in_keras_order(graph, outputs) if not isinstance(op, (Node, Value))]


def operations_in_keras_order(graph: Graph, outputs: Sequence[Value] | None = None) -> list[Operation]:
    """The same, with the nodes that belong to no layer and the inputs that no layer made among them."""
    parents = _event_parents(graph)
    order = _post_order(graph, parents, graph.outputs if outputs is None else outputs)
    first_met = {operation: place for place, operation in enumerate(dict.fromkeys(map(_operation, order.met)))}
    depths: dict[Event, int] = {}
    operation_depths: dict[Operation, int] = {}
    for event in reversed(order.finished):
        operation = _operation(event)
        depth = max(depths.get(event, 0), operation_depths.get(operation, 0))
        depths[event] = operation_depths[operation] = depth
        for parent in parents[event]:
            depths[parent] = max(depth + 1, depths.get(parent, 0))
    for value in graph.inputs:
        operation_depths.setdefault(_operation(value), 0)
        first_met.setdefault(_operation(value), -1)
    return sorted(operation_depths, key=lambda op: (-operation_depths[op], first_met[op]))


def events_in_order(graph: Graph) -> dict[Event, Operation]:
    """What happens in a graph, inputs first, then in the order of the nodes, each with the operation that it is of."""
    events: list[Event] = [*graph.inputs, *map(_top, graph.nodes)]
    return {event: _operation(event) for event in events}


def event_of(value: Value, inputs: Set[Value]) -> Event:
    """The event that a value of a graph comes from: itself where it is one of the graph's inputs."""
    return value if value in inputs or value.node is None else _top(value.node)


class _Walk:
    def __init__(self) -> None:
        self.met: list[Event] = []
        self.finished: list[Event] = []


def _post_order(graph: Graph, parents: dict[Event, tuple[Event, ...]], outputs: Sequence[Value]) -> _Walk:
    walk = _Walk()
    done: set[Event] = set()
    inputs = set(graph.inputs)
    for output in outputs:
        stack: list[tuple[Event, Iterable[Event] | None]] = [(event_of(output, inputs), None)]
        while stack:
            event, rest = stack.pop()
            if rest is None:
                if event in done:
                    continue
                done.add(event)
                walk.met.append(event)
                rest = iter(parents.get(event, ()))
            following = next(iter(rest), None)
            if following is None:
                walk.finished.append(event)
                continue
            stack.append((event, rest))
            if following not in done:
                stack.append((following, None))
    return walk


def _event_parents(graph: Graph) -> dict[Event, tuple[Event, ...]]:
    inputs = set(graph.inputs)
    parents: dict[Event, dict[Event, None]] = {value: {} for value in graph.inputs}
    for node in graph.nodes:
        event = _top(node)
        if isinstance(event, LayerCall) and event not in parents:
            arguments = [leaf for leaf in flatten_sorted([event.args, event.kwargs]) if isinstance(leaf, Value)]
            sources = [event_of(leaf, inputs) for leaf in arguments if leaf.node is not None or leaf in inputs]
            parents[event] = dict.fromkeys(source for source in sources if source is not event)
        elif isinstance(event, Node):
            sources = [
                event_of(v, inputs) for v in node.inputs if v is not None and (v.node is not None or v in inputs)
            ]
            parents[event] = dict.fromkeys(sources)
    present = parents.keys()
    return {event: tuple(p for p in found if p in present) for event, found in parents.items()}


def _top(node: Node) -> LayerCall | Node:
    scope = node.scope
    if scope is None:
        return node
    while scope.parent is not None:
        scope = scope.parent
    return scope


def _operation(event: Event) -> Operation:
    if isinstance(event, LayerCall):
        return event.layer
    if isinstance(event, Value) and isinstance(event.source, LayerCall):
        return event.source.layer
    return event
