"""The orders in which Keras lists a functional model's layers, and in which it runs their calls.

Keras (keras.Function) gives every operation the depth of the longest way to an output. It lists operations from the
deepest one; operations of one depth in the order in which a walk back from the outputs meets them. This is the order
of weights. It
runs calls from the deepest one too; calls of one depth in the order in which their depths were found.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from dagir.ir.graph import Graph, Node, Value
from dagir.ir.nest import flatten_sorted
from dagir.support.location import LayerCall, Named

E = TypeVar("E", bound=Hashable)
Event: TypeAlias = LayerCall | Node | Value
Operation: TypeAlias = Any  # what Keras counts as one operation: a layer, a node or an input value


def layers_in_keras_order(graph: Graph, outputs: Sequence[Value] | None = None) -> list[Named]:
    """The top-level layers of a graph, input layers included, each once.

    outputs: the outputs in the order in which Keras walks back from them, if it is another order.
    """
    if all(node.scope is None for node in graph.nodes):
        return [value.source.layer for value in graph.inputs if isinstance(value.source, LayerCall)]
    return [op for op in operations_in_keras_order(graph, outputs) if not isinstance(op, (Node, Value))]


def operations_in_keras_order(graph: Graph, outputs: Sequence[Value] | None = None) -> list[Operation]:
    """The same, and also the nodes that belong to no layer and the inputs that no layer made."""
    parents, inputs = _event_parents(graph), set(graph.inputs)
    ends = [event_of(value, inputs) for value in (graph.outputs if outputs is None else outputs)]
    walk = _walk_back(parents, ends)
    first_met = {operation: place for place, operation in enumerate(dict.fromkeys(map(_operation, walk.met)))}
    _, depths = _depths(walk.finished, parents, _operation)
    for value in graph.inputs:
        depths.setdefault(_operation(value), 0)
        first_met.setdefault(_operation(value), -1)
    return sorted(depths, key=lambda op: (-depths[op], first_met[op]))


def run_order(parents: Mapping[E, Sequence[E]], outputs: Iterable[E], operation: Callable[[E], Operation]) -> list[E]:
    """The outputs and everything that they depend on, in the order in which Keras runs it.

    parents: the events that each event reads, in the order of its arguments; operation: what an event is a call of.
    """
    depths, _ = _depths(_walk_back(parents, outputs).finished, parents, operation)
    return sorted(depths, key=lambda event: -depths[event])


def _depths(
    finished: Sequence[E], parents: Mapping[E, Sequence[E]], operation: Callable[[E], Operation]
) -> tuple[dict[E, int], dict[Operation, int]]:
    """The depths of events, in the order in which they are found, and the depths of operations."""
    depths: dict[E, int] = {}
    of_operations: dict[Operation, int] = {}
    for event in reversed(finished):
        made_by = operation(event)
        depth = max(depths.get(event, 0), of_operations.get(made_by, 0))
        depths[event] = of_operations[made_by] = depth
        for parent in parents.get(event, ()):
            depths[parent] = max(depth + 1, depths.get(parent, 0))
    return depths, of_operations


def events_in_order(graph: Graph) -> dict[Event, Operation]:
    """The events of a graph with their operations: inputs first, then in the order of the nodes."""
    events: list[Event] = [*graph.inputs, *map(_top, graph.nodes)]
    return {event: _operation(event) for event in events}


def event_of(value: Value, inputs: Set[Value]) -> Event:
    """The event that made a value of a graph; an input is its own event."""
    return value if value in inputs or value.node is None else _top(value.node)


@dataclass(frozen=True)
class _Walk(Generic[E]):
    met: list[E]
    finished: list[E]


def _walk_back(parents: Mapping[E, Sequence[E]], outputs: Iterable[E]) -> _Walk[E]:
    """Depth first: the events in the order in which they are met, and in the order in which they are finished."""
    walk: _Walk[E] = _Walk([], [])
    done: set[E] = set()
    for output in outputs:
        stack: list[tuple[E, Iterator[E] | None]] = [(output, None)]
        while stack:
            event, rest = stack.pop()
            if rest is None:
                if event in done:
                    continue
                done.add(event)
                walk.met.append(event)
                rest = iter(parents.get(event, ()))
            following = next(rest, None)
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
            parents[event] = dict.fromkeys(each for each in _events_of(arguments, inputs) if each is not event)
        elif isinstance(event, Node):
            parents[event] = dict.fromkeys(_events_of(node.inputs, inputs))
    present = parents.keys()
    return {event: tuple(p for p in found if p in present) for event, found in parents.items()}


def _events_of(values: Iterable[Value | None], inputs: set[Value]) -> list[Event]:
    """The events that made these values; weights and constants have none."""
    made = [value for value in values if value is not None and (value.node is not None or value in inputs)]
    return [event_of(value, inputs) for value in made]


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
