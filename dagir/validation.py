"""check(graph): the invariants that every graph keeps, whoever made it."""

from __future__ import annotations

from collections.abc import Iterable

from dagir.diagnostics import describe
from dagir.errors import DagirError, InvalidGraph
from dagir.graph import Graph, Node, Value
from dagir.types import take_equations


def check(graph: Graph) -> Graph:
    """Return the graph if it is sound. Raises InvalidGraph that names the node and the value.

    Sound means: names of inputs differ, every input is needed, every operand is produced before it is read, and
    every type is what the op's shape rule gives.
    """
    _check_inputs(graph)
    available: set[Value] = set(graph.inputs)
    for node in graph.nodes:
        _check_operands(node, available)
        _check_types(node)
        available.update(node.outputs)
    for value in graph.outputs:
        if value.node is not None and value not in available:
            raise InvalidGraph(f"output {value.name!r} is produced by no node of graph {graph.name!r}")
    return graph


def _check_inputs(graph: Graph) -> None:
    _refuse_twice((value.name for value in graph.inputs), "input")
    needed = {value for node in graph.nodes for value in node.inputs} | set(graph.outputs)
    for value in graph.inputs:
        if value not in needed:
            raise InvalidGraph(
                f"input {value.name!r} of graph {graph.name!r} is needed by no output",
                remedy="leave it out of inputs=, or use it",
            )


def _refuse_twice(names: Iterable[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidGraph(f"the name {name!r} stands for two {what}s", remedy=f"give each {what} its own name")
        seen.add(name)


def _check_operands(node: Node, available: set[Value]) -> None:
    for value in node.inputs:
        if value is None or value in available:
            continue
        if value.node is not None or value.is_input:
            raise InvalidGraph(f"{value.name!r} is read before it is produced", facts=[("node", describe(node))])


def _check_types(node: Node) -> None:
    try:
        types = node.op.infer(*[None if value is None else value.type for value in node.inputs])
    except DagirError as error:
        raise InvalidGraph(f"a node's operands do not fit: {error.summary}", facts=[("node", describe(node))]) from None
    finally:
        take_equations()
    found = tuple(value.type for value in node.outputs)
    if found != types:
        raise InvalidGraph(
            "a node's outputs have types that its op does not give",
            facts=[("node", describe(node)), ("declared", _listed(found)), ("inferred", _listed(types))],
        )


def _listed(types: Iterable[object]) -> str:
    return ", ".join(map(str, types))
