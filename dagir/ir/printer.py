"""A graph as text: one line a node, in the order of evaluation."""

from __future__ import annotations

from collections.abc import Iterator

from dagir.ir.diagnostics import op_text
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.naming import value_names
from dagir.support.printable import printable


def print_graph(graph: Graph) -> str:
    """The whole graph, each value by a unique name, each node with its type and the layer it came from.

    The branches and bodies of a node follow it, indented, each with names of its own; nested models do not.
    """
    return "\n".join(map(printable, _lines(graph)))


def _lines(graph: Graph) -> list[str]:
    """The lines of a graph and of the bodies in it, without recursion: a stack of what is still to print."""
    lines: list[str] = []
    pending: list[Iterator[str | tuple[str, Graph]]] = [_parts("graph", graph)]
    while pending:
        part = next(pending[-1], None)
        if part is None:
            pending.pop()
        elif isinstance(part, str):
            lines.append("    " * (len(pending) - 1) + part)
        else:
            pending.append(_parts(*part))
    return lines


def _parts(title: str, graph: Graph) -> Iterator[str | tuple[str, Graph]]:
    """The lines of one graph, and in their places the graphs that are to be printed within."""
    names = value_names(graph)
    yield f"{title} {graph.name}({', '.join(f'{names[v]}: {v.type}' for v in graph.inputs)}) {{"
    yield from (f"  param {names[p.value]}: {p.type}" for p in graph.parameters if p.value not in graph.inputs)
    for node in graph.nodes:
        yield f"  {_node_line(node, names)}"
        if "graph" not in node.op.graph_fields:  # a nested model is printed where it is defined
            yield from ((name, getattr(node.op, name)) for name in node.op.graph_fields)
    yield f"  return {', '.join(names[value] for value in graph.outputs)}"
    yield "}"


def _node_line(node: Node, names: dict[Value, str]) -> str:
    results = ", ".join(f"{names[value]}: {value.type}" for value in node.outputs)
    operands = ", ".join(_operand(value, names) for value in node.inputs)
    layer = f"  # {node.scope.path}" if node.scope else ""
    return f"{results} = {op_text(node.op)}({operands}){layer}"


def _operand(value: Value | None, names: dict[Value, str]) -> str:
    if value is None:
        return "-"
    array = getattr(value.source, "array", None) if type(value.source).__name__ == "Constant" else None
    if array is not None and array.size == 1:
        return f"{array.item()}"
    return names[value]
