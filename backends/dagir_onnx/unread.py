"""Nodes whose results nothing reads."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from onnx import NodeProto


def without_unread(nodes: Sequence[NodeProto], outputs: Collection[str]) -> tuple[list[NodeProto], set[str]]:
    """The nodes that the outputs need, and the names that these read."""
    needed = set(outputs)
    read = []
    for proto in reversed(nodes):
        if not needed.isdisjoint(proto.output):
            read.append(proto)
            needed.update(reads(proto))
    return read[::-1], needed


def reads(proto: NodeProto) -> list[str]:
    """The names that a node and its subgraphs read."""
    names, pending = [], [proto]
    while pending:
        node = pending.pop()
        names.extend(node.input)
        pending.extend(inner for attribute in node.attribute for inner in attribute.g.node)
        names.extend(output.name for attribute in node.attribute for output in attribute.g.output)
    return names
