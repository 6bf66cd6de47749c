"""Cut a part out of a graph, between some of its values, as a separate model with known sizes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from dagir.ir.graph import Node, Value
from dagir.ir.op import inferred
from dagir.ir.traversal import reached
from dagir.modeling.model import Model


def cut_out(inputs: Mapping[Value, Value], output: Value, sizes: Mapping[str, int]) -> Model:
    """The part from some values to another one, with the same weights. Raises InvalidGraph if it needs other inputs.

    inputs: the Input that replaces each value at the cut. sizes: the number of each named size.
    """
    replaced: dict[Value | None, Value | None] = {None: None}
    replaced.update(inputs.items())
    for node in nodes_between(inputs, output):
        copied = _copied(node, replaced, sizes)
        replaced.update(zip(node.outputs, copied.outputs, strict=True))
    return Model(list(inputs.values()), replaced.get(output, output), name="minimal")


def _copied(node: Node, replaced: Mapping[Value | None, Value | None], sizes: Mapping[str, int]) -> Node:
    """A copy of the node without its layer: the values of the layer's call are not in the part."""
    operands = tuple([replaced.get(value, value) for value in node.inputs])
    op = node.op.substitute(dict(sizes))
    found = inferred(op, [None if value is None else value.type for value in operands])
    return Node(op, operands, found.types, location=node.location, equations=found.equations)


def nodes_between(stops: Collection[Value], output: Value) -> list[Node]:
    """The nodes that a value depends on, up to the stops, in the order of the graph."""

    def makers(values: Iterable[Value | None]) -> list[Node]:
        return [x.node for x in values if x is not None and x.node is not None and x not in stops]

    return sorted(reached(makers([output]), lambda node: makers(node.inputs)), key=lambda node: node.serial)
