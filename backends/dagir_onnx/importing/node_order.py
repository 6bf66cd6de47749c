"""The nodes of a graph that its outputs need, each behind those that it reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from onnx import GraphProto, NodeProto


def needed(nodes: Sequence[NodeProto], outputs: Sequence[str]) -> list[NodeProto]:
    """The nodes that these outputs need, in the given order."""
    wanted = set(outputs)
    found = []
    for node in reversed(nodes):
        if not wanted.isdisjoint(node.output):
            found.append(node)
            wanted.update(node.input)
            for graph in _graphs(node):
                wanted.update(_names_in(graph))
    found.reverse()
    return found


def in_order(nodes: Sequence[NodeProto], is_known: Callable[[str], bool]) -> Sequence[NodeProto]:
    """The same nodes, each behind those that it reads: ONNX asks for that, and onnxruntime does not.

    is_known: whether a name is there before the graph runs. What is in order stays as it is, and what reads itself too.
    """
    makers: dict[str, int] = {}
    for place, node in enumerate(nodes):
        for name in node.output:
            if name and not is_known(name):
                makers.setdefault(name, place)
    needs = [sorted({makers[name] for name in _read_by(node) if name in makers}) for node in nodes]
    if all(not each or each[-1] < place for place, each in enumerate(needs)):
        return nodes
    order = _sorted(needs)
    return nodes if order is None else [nodes[place] for place in order]


def _sorted(needs: Sequence[Sequence[int]]) -> list[int] | None:
    """Places, each behind those that it needs, else in their order; None where some need each other."""
    order: list[int] = []
    begun, done = set(), set()
    pending = list(range(len(needs) - 1, -1, -1))
    while pending:
        place = pending[-1]
        if place in done:
            pending.pop()
            continue
        missing = [each for each in needs[place] if each not in done]
        if not missing:
            order.append(place)
            done.add(place)
        elif place in begun:
            return None
        else:
            begun.add(place)
            pending += reversed(missing)
    return order


def _read_by(node: NodeProto) -> set[str]:
    """The names that a node reads, those that graphs inside it read from around them included."""
    names = set(node.input)
    for graph in _graphs(node):
        names |= _names_in(graph) - _made_in(graph)
    return names


def _graphs(node: NodeProto) -> list[GraphProto]:
    found: list[GraphProto] = []
    for attribute in node.attribute:
        found += [attribute.g] if attribute.HasField("g") else []
        found += attribute.graphs
    return found


def _nested(graph: GraphProto) -> list[GraphProto]:
    """A graph and all those inside its nodes."""
    found, pending = [], [graph]
    while pending:
        found.append(pending.pop())
        pending += [inner for node in found[-1].node for inner in _graphs(node)]
    return found


def _names_in(graph: GraphProto) -> set[str]:
    """Names that a graph inside a node reads, those of its own included: too many do no harm."""
    names: set[str] = set()
    for each in _nested(graph):
        names.update(output.name for output in each.output)
        for node in each.node:
            names.update(node.input)
    return names


def _made_in(graph: GraphProto) -> set[str]:
    names: set[str] = set()
    for each in _nested(graph):
        names.update(info.name for info in (*each.input, *each.initializer))
        for node in each.node:
            names.update(node.output)
    return names


__all__ = ["in_order", "needed"]
