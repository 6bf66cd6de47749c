"""Nodes whose results nothing reads, and those that only give an output its name."""

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


def without_last_identities(nodes: Sequence[NodeProto], outputs: Collection[str]) -> list[NodeProto]:
    """The nodes, in which a tensor that was copied to an output is the output itself.

    Where a node has a body, nothing is changed: what is written about bodies names tensors.
    """
    if any(entry.HasField("g") for node in nodes for entry in node.attribute):
        return list(nodes)
    made = {name for node in nodes for name in node.output}
    names: dict[str, str] = {}
    kept = []
    for node in nodes:
        if node.op_type == "Identity" and node.output[0] in outputs:
            source = node.input[0]
            if source in made and source not in outputs and source not in names:
                names[source] = node.output[0]
                continue
        kept.append(node)
    for node in kept if names else ():
        for field in (node.input, node.output):
            for place, name in enumerate(field):
                if name in names:
                    field[place] = names[name]
    return kept


def reads(proto: NodeProto) -> list[str]:
    """The names that a node and its subgraphs read."""
    names, pending = [], [proto]
    while pending:
        node = pending.pop()
        names.extend(node.input)
        pending.extend(inner for attribute in node.attribute for inner in attribute.g.node)
        names.extend(output.name for attribute in node.attribute for output in attribute.g.output)
    return names
