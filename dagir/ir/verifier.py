"""check(graph): the invariants that every graph keeps, whoever made it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dagir.errors import DagirError, InvalidGraph
from dagir.ir import diagnostics
from dagir.ir.diagnostics import describe
from dagir.ir.dim_binding import size_sources
from dagir.ir.dims import symbols
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.op import inferred
from dagir.support.location import LayerCall


def check(graph: Graph, *, unused_inputs: bool = False) -> Graph:
    """Return the graph if it is sound. Raises InvalidGraph that names the node and the value.

    Sound means: names of inputs, of layers and of values differ, the inputs tell every size that they name, there is no
    cycle, every operand is produced before it is read, every type is what the op's shape rule gives, every output is
    produced, and every input is needed (unless unused_inputs: a model that exists elsewhere keeps its inputs).

    >>> x = dagir.Input((3,), name="x")
    >>> dagir.check(dagir.Graph([x], [ops.tanh(x)], name="net"))
    <Graph net: 1 in, 1 nodes, 1 out>
    """
    _check_one(graph, unused_inputs)
    for body, node in _bodies_of(graph):
        try:
            _check_one(body, unused_inputs=True)
        except InvalidGraph as error:
            raise error.fact("in", describe(node)) from None
    return graph


def _bodies_of(graph: Graph) -> Iterator[tuple[Graph, Node]]:
    """The branches and bodies in a graph, each once, with a node that holds it; nested models are not entered."""
    pending, seen = [graph], {graph}
    while pending:
        for node in pending.pop().nodes:
            inner = [getattr(node.op, name) for name in node.op.graph_fields if name != "graph"]
            for body in inner:
                if body not in seen:
                    seen.add(body)
                    pending.append(body)
                    yield body, node


def _check_one(graph: Graph, unused_inputs: bool) -> None:
    if not graph.outputs:
        raise InvalidGraph(f"graph {graph.name!r} has no outputs", remedy="give at least one value as outputs=")
    _check_names(graph)
    _check_sizes(graph)
    available: set[Value] = set(graph.inputs)
    for node in graph.nodes:
        _check_operands(node, available, graph)
        _check_types(node)
        available.update(node.outputs)
    for value in graph.outputs:
        if value.node is not None and value not in available:
            facts = [("node", describe(value.node)), ("its outputs", _listed(value.node.outputs))]
            raise InvalidGraph(f"output {value.name!r} is produced by no node of graph {graph.name!r}", facts=facts)
    if not unused_inputs:
        _check_inputs(graph)


def _check_inputs(graph: Graph) -> None:
    needed = {value for node in graph.nodes for value in node.inputs} | set(graph.outputs)
    for value in graph.inputs:
        if value not in needed:
            raise InvalidGraph(
                f"input {value.name!r} of graph {graph.name!r} is needed by no output",
                facts=[("input", diagnostics.input_text(value)), ("outputs", _names(graph.outputs))],
                remedy="leave it out of inputs=, or use it",
            )


def _check_sizes(graph: Graph) -> None:
    known = size_sources([value.type.shape for value in graph.inputs])
    for value in graph.inputs:
        for size in value.type.shape:
            unknown = sorted(symbols(size) - known.keys())
            if unknown:
                raise InvalidGraph(
                    f"input {value.name!r} has the size {size}, from which {unknown[0]!r} does not follow",
                    facts=[("input", diagnostics.input_text(value))],
                    remedy=f"give that axis a name of its own, or give {unknown[0]!r} as an axis of an input",
                )


def _names(values: Iterable[Value]) -> str:
    return ", ".join(repr(value.name) for value in values)


def _check_names(graph: Graph) -> None:
    """The inputs, the outermost layers, and the values that the user named have different names."""
    values: dict[str, object] = {}
    layers: dict[str, object] = {}
    for value in graph.inputs:
        if value.node is None or value.explicit_name is not None:  # others, where a model was cut, are named apart
            _refuse_twice(value.name, value, values, "input", "give each input its own name")
        if isinstance(value.source, LayerCall):
            layers[value.source.layer.name] = value.source.layer
    seen: set[LayerCall] = set()
    for node in graph.nodes:
        if node.scope is None:
            if node.name is not None:
                _refuse_twice(node.name, node, values, "value", "give each value its own name, or none")
        elif node.scope not in seen:
            seen.add(node.scope)
            layer = _outermost(node.scope).layer
            _refuse_twice(layer.name, layer, layers, "layer", "give each layer its own name, or call one layer twice")


def _outermost(scope: LayerCall) -> LayerCall:
    while scope.parent is not None:
        scope = scope.parent
    return scope


def _refuse_twice(name: str, thing: object, known: dict[str, object], what: str, remedy: str) -> None:
    first = known.setdefault(name, thing)
    if first is not thing:
        facts = [("first", diagnostics.maker_text(first)), ("second", diagnostics.maker_text(thing))]
        raise InvalidGraph(f"the name {name!r} stands for two {what}s", facts=facts, remedy=remedy)


def _check_operands(node: Node, available: set[Value], graph: Graph) -> None:
    for value in node.inputs:
        if value is None or value in available:
            continue
        if value.node is node:
            raise InvalidGraph(
                f"node {node.op.op_name!r} reads its own output", facts=[("node", describe(node))], remedy=_ACYCLIC
            )
        if value.node is not None or value.is_input:
            cycle = _cycle(node)
            if cycle:
                path = " -> ".join(each.op.op_name for each in (*cycle, cycle[0]))
                facts = [("node", describe(each)) for each in cycle]
                raise InvalidGraph(f"graph {graph.name!r} holds a cycle: {path}", facts=facts, remedy=_ACYCLIC)
            raise InvalidGraph(f"{value.name!r} is read before it is produced", facts=[("node", describe(node))])


_ACYCLIC = "a graph runs from inputs to outputs: what a node reads must not depend on what it makes"


def _cycle(start: Node) -> list[Node]:
    """The nodes of a cycle through `start`, each read by the next; empty if there is none."""
    reached: dict[Node, Node] = {}  # each node that `start` depends on, and one that reads it
    pending = [start]
    while pending:
        node = pending.pop()
        for value in node.inputs:
            maker = value.node if value is not None else None
            if maker is None or maker in reached:
                continue
            reached[maker] = node
            if maker is start:
                return _path(start, reached)
            pending.append(maker)
    return []


def _path(start: Node, reader: dict[Node, Node]) -> list[Node]:
    path, node = [start], reader[start]
    while node is not start:
        path.append(node)
        node = reader[node]
    return path


def _check_types(node: Node) -> None:
    try:
        types = inferred(node.op, [None if v is None else v.type for v in node.inputs]).types
    except DagirError as error:
        raise InvalidGraph(f"a node's operands do not fit: {error.summary}", facts=[("node", describe(node))]) from None
    except (AttributeError, TypeError):
        found = diagnostics.wrong_operands(node.op, node.inputs)
        if found is None:
            raise
        raise found.fact("node", describe(node)) from None
    found_types = tuple(value.type for value in node.outputs)
    if found_types != types:
        raise InvalidGraph(
            "a node's outputs have types that its op does not give",
            facts=[("node", describe(node)), ("declared", _listed(found_types)), ("inferred", _listed(types))],
        )


def _listed(types: Iterable[object]) -> str:
    return ", ".join(map(str, types))
