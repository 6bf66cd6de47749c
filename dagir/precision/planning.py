"""Which nodes stay wide, and where the casts between wide and narrow nodes stand.

Some nodes must stay wide: those that leave the range of the narrow dtype, those at steps, those that cost too much. The
others may be either. The casts are what is left to choose: a value that is made by one kind and read by the other is
cast once, for all of its readers. The fewest casts are a minimum cut of the graph, with two vertices for each value,
one for each direction of its cast. Of several such cuts the one with the fewest wide nodes is taken. Nodes with weights
that may be narrow always are: they are what is large and slow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dagir import ops
from dagir.ir.graph import Graph, Node, Parameter, Value
from dagir.ir.leaves import is_leaf
from dagir.ir.types import DType
from dagir.passes.narrow import stays_wide
from dagir.precision.sensitivity import Sensitivity

MARGIN = 4.0
"""How many times larger than in the samples numbers may be in use."""

_CAST = 1 << 20
_MOST_NODES = 20_000


@dataclass(frozen=True)
class Plan:
    """kept: the nodes that stay wide, each with the reason. stored: their weights that are narrow all the same."""

    kept: Mapping[Node, str]
    stored: frozenset[Parameter]


def plan(graph: Graph, table: Sensitivity, dtype: DType, must: Mapping[Node, str]) -> Plan:
    """The nodes that stay wide, which hold those in `must`, with the fewest casts."""
    if not must:
        return Plan({}, _in_bodies(graph, dtype))
    wide = _fewest_casts(graph, must) if len(graph.nodes) <= _MOST_NODES else set(must)
    kept = {node: must.get(node, "saves casts") for node in graph.nodes if node in wide and not stays_wide(node)}
    bearing = {node for node, reason in kept.items() if not reason.startswith("costs")}
    return Plan(kept, _in_bodies(graph, dtype) | _fitting(bearing, dtype))


def out_of_range(table: Sensitivity, dtype: DType) -> dict[Node, str]:
    """The nodes whose operands, results or weights leave the range of the dtype, or would if they were a bit larger."""
    largest = dtype.bounds[1]
    found: dict[Node, str] = {}
    for row in table:
        if row.overflow:
            found[row.node] = "overflows"
        elif max(abs(row.low), abs(row.high)) * MARGIN > largest:
            found[row.node] = f"reaches {max(row.low, row.high, key=abs):.3g}"
    beyond = {
        value for row in table if max(abs(row.low), abs(row.high)) * MARGIN > largest for value in row.node.outputs
    }
    for row in table:
        if row.node not in found and any(value in beyond for value in row.node.inputs):
            found[row.node] = "reads what leaves the range"
    return found


def at_steps(graph: Graph) -> dict[Node, str]:
    """The nodes that compute what a step decides on: a comparison, or a cast to integers, whose results are no floats.

    Nodes back to the next one with weights: rounding may change such a decision, and first-order analysis sees nothing.
    """
    found: dict[Node, str] = {}
    deciding = [node for node in graph.nodes if _decides(node)]
    pending = [value for node in deciding for value in node.inputs if value is not None and _is_wide(value)]
    found.update(dict.fromkeys(deciding, "decides"))
    while pending:
        node = pending.pop().node
        if node is None or node in found or _weights(node):
            continue
        found[node] = "is decided on"
        pending.extend(value for value in node.inputs if value is not None and _is_wide(value))
    return found


def _decides(node: Node) -> bool:
    reads = any(value is not None and _is_wide(value) for value in node.inputs)
    writes = all(not value.dtype.is_float for value in node.outputs)
    return reads and writes and not isinstance(node.op, (ops.ArgMax, ops.ArgMin))


def _is_wide(value: Value) -> bool:
    return value.dtype is DType.FLOAT32


def _weights(node: Node) -> list[Parameter]:
    sources = [value.source for value in node.inputs if value is not None and _is_wide(value)]
    return [source for source in sources if isinstance(source, Parameter) and len(source.shape) > 1]


def costly(table: Sensitivity, budget: float) -> dict[Node, str]:
    """The nodes that alone cost more than the budget."""
    return {row.node: f"costs {row.own:.2g}" for row in table if row.own > budget}


def together(table: Sensitivity, budget: float, without: Iterable[Node] = ()) -> dict[Node, str]:
    """The fewest nodes without which all others together cost no more than the budget: the worst ones."""
    gone = set(without)
    rows = sorted((row for row in table if row.node not in gone), key=lambda row: -row.own)
    left = sum(row.own**2 for row in rows)
    found: dict[Node, str] = {}
    for row in rows:
        if left <= budget**2:
            break
        found[row.node] = f"costs {row.own:.2g}"
        left -= row.own**2
    return found


def _in_bodies(graph: Graph, dtype: DType) -> frozenset[Parameter]:
    """The weights of nodes with graphs inside, which compute in float32: they may be stored narrow."""
    return _fitting({node for node in graph.nodes if node.op.graph_fields}, dtype)


def _fitting(nodes: Iterable[Node], dtype: DType) -> frozenset[Parameter]:
    found = {weight for node in nodes for weight in _weights(node)}
    largest = dtype.bounds[1]
    return frozenset(each for each in found if each.array.size and float(abs(each.array).max()) <= largest)


def _fewest_casts(graph: Graph, must: Mapping[Node, str]) -> set[Node]:
    """The wide side of a minimum cut; "wide" and "narrow" are its ends."""
    import networkx

    net = networkx.DiGraph()
    net.add_node("wide")
    net.add_node("narrow")
    for node in graph.nodes:
        if node in must or stays_wide(node):
            net.add_edge("wide", node)
        elif _weights(node):
            net.add_edge(node, "narrow")
        else:
            net.add_edge(node, "narrow", capacity=1)
    for value, readers in _readers(graph).items():
        maker = value.node if value.node is not None and value not in graph.inputs else "wide"
        for reader in readers:  # an edge without a capacity is not cut
            net.add_edge((value, "down"), reader)
            net.add_edge(reader, (value, "up"))
        net.add_edge(maker, (value, "down"), capacity=_CAST)
        net.add_edge((value, "up"), maker, capacity=_CAST)
    _, (wide, _) = networkx.minimum_cut(net, "wide", "narrow")
    return {node for node in wide if isinstance(node, Node)}


def _readers(graph: Graph) -> dict[Value, list[Node | str]]:
    """Who reads each float32 that is no weight; the outputs of the graph are read wide."""
    found: dict[Value, list[Node | str]] = {}
    for node in graph.nodes:
        for value in node.inputs:
            if value is not None and _is_wide(value) and (not is_leaf(value) or value in graph.inputs):
                found.setdefault(value, []).append(node)
    for value in graph.outputs:
        if _is_wide(value) and value.node is not None:
            found.setdefault(value, []).append("wide")
    return found
