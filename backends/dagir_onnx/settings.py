"""Which tensors of a file are settings of its nodes (axes, shapes, indices), and no numbers that it computes with.

ONNX's schemas tell it: an input that takes int32 or int64 alone is a setting. So is what is computed for nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from onnx import GraphProto, NodeProto, defs

_INTEGERS = frozenset(("tensor(int32)", "tensor(int64)"))


def settings(graph: GraphProto, opsets: Mapping[str, int]) -> frozenset[str]:
    """The names of tensors that are read as settings, and nowhere as anything else. Bodies are looked into."""
    read: set[str] = set()
    others = {info.name for each in graphs_in(graph) for info in each.output}
    for node in _backwards(graph):
        made = [name for name in node.output if name]
        serves = any(name in read for name in made) and not any(name in others for name in made)
        places = _integer_places(node.op_type, node.domain, opsets.get(node.domain, 0))
        for place, name in enumerate(node.input):
            read.add(name)
            if not serves and place not in places:
                others.add(name)
    return frozenset(read - others - {""})


def graphs_in(graph: GraphProto) -> Iterator[GraphProto]:
    """The graph, and those of its bodies."""
    pending = [graph]
    while pending:
        found = pending.pop()
        yield found
        pending.extend(body for node in found.node for body in bodies_of(node))


def _backwards(graph: GraphProto) -> Iterator[NodeProto]:
    """All nodes from the last to the first, each followed by those of its bodies, which only read what is before it."""
    pending = list(graph.node)
    while pending:
        node = pending.pop()
        yield node
        for body in bodies_of(node):
            pending.extend(body.node)


def bodies_of(node: NodeProto) -> Iterator[GraphProto]:
    """The branches of a node, or the body of a loop."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


@cache
def _integer_places(op_type: str, domain: str, version: int) -> frozenset[int]:
    """The places of the inputs that take integers of 32 or 64 bits alone; none of an operator that onnx lacks."""
    try:
        schema = defs.get_schema(op_type, version, domain)
    except (defs.SchemaError, TypeError, ValueError, OverflowError):
        return frozenset()
    return frozenset(place for place, each in enumerate(schema.inputs) if set(each.types) <= _INTEGERS)
