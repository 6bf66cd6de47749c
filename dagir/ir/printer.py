"""A graph as text: one line a node, in the order of evaluation."""

from __future__ import annotations

from dagir.ir.diagnostics import op_text
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.naming import value_names
from dagir.support.printable import printable


def print_graph(graph: Graph) -> str:
    """The whole graph, each value by a unique name, each node with its type and the layer it came from."""
    names = value_names(graph)
    lines = [f"graph {graph.name}({', '.join(f'{names[v]}: {v.type}' for v in graph.inputs)}) {{"]
    lines.extend(f"  param {names[p.value]}: {p.type}" for p in graph.parameters)
    lines.extend(f"  {_node_line(node, names)}" for node in graph.nodes)
    lines.append(f"  return {', '.join(names[value] for value in graph.outputs)}")
    lines.append("}")
    return "\n".join(map(printable, lines))


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
