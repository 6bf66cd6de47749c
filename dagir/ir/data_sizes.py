"""Sizes that the data decide: how many elements are not zero, how many boxes are selected.

An op that makes such a size names it in one of its `size_fields`, and an axis of its outputs has it. The name occurs
nowhere else, and the number is known once the node has run: the interpreters read it there. A name that was made here
knows the value whose axis tells it, so that a shape with this size can be written anywhere: what has it then reads that
value too (see `apply_node`).
"""

from __future__ import annotations

from collections.abc import Mapping

from dagir.ir.data_names import fresh_size, names_in, sources_of
from dagir.ir.dim_binding import SizeSource
from dagir.ir.dims import Dim, evaluate, symbols
from dagir.ir.graph import Graph, Node
from dagir.ir.op import Op

__all__ = ["escaping", "fresh_size", "made_by", "made_in", "number_of", "told_by"]


def made_by(op: Op) -> tuple[str, ...]:
    """The names of the sizes that an op makes; a call without names for them has those that they have inside."""
    if not op.size_fields:
        return ()
    named = tuple([str(size) for name in op.size_fields for size in getattr(op, name)])
    inner = getattr(op, "graph", None)
    return tuple(escaping(inner)) if not named and isinstance(inner, Graph) else named


def made_in(graph: Graph) -> dict[str, None]:
    """The names of the sizes that the nodes of a graph make, in their order; those of bodies stay in these."""
    return dict.fromkeys(name for node in graph.nodes for name in made_by(node.op))


def escaping(graph: Graph) -> list[str]:
    """The sizes made in a graph that its outputs have. They are noted in it: inner graphs come first, at any depth."""
    noted: list[str] | None = graph.__dict__.get("_escaping")
    if noted is None:
        made = made_in(graph)
        seen = {name for value in graph.outputs for size in value.type.shape for name in names_in(size)} if made else ()
        noted = graph.__dict__["_escaping"] = [name for name in made if name in seen]
    return noted


def told_by(node: Node) -> dict[str, SizeSource]:
    """For each size that a node makes, the output and the axis that tell it."""
    made = made_by(node.op)
    return sources_of(made, [value.type for value in node.outputs]) if made else {}


def number_of(size: Dim, sizes: Mapping[str, int]) -> int | None:
    """The number that a size is; None where it hangs on one that is not known yet."""
    return evaluate(size, sizes) if symbols(size) <= sizes.keys() else None
