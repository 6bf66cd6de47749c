"""From the outputs of a graph back to its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

from dagir.errors import InvalidGraph
from dagir.ir import diagnostics

if TYPE_CHECKING:
    from dagir.ir.graph import Node, Value


def walk_back(inputs: Sequence[Value], outputs: Sequence[Value]) -> tuple[Node, ...]:
    """The nodes between `inputs` and `outputs`, each after the nodes it reads. Raises InvalidGraph."""
    cut = set(inputs)
    if len(cut) != len(inputs):
        twice = next(value for place, value in enumerate(inputs) if value in inputs[:place])
        raise InvalidGraph(f"input {twice.name!r} is listed twice", remedy="list each input once")
    found: dict[Node, None] = {}
    seen: set[Value] = set(cut)
    pending = [value for value in outputs if value not in cut]
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        try:
            node = value.node
        except AttributeError:
            raise diagnostics.not_a_value(value, found) from None
        if node is not None:
            if node not in found:
                found[node] = None
                pending.extend(operand for operand in node.inputs if operand is not None and operand not in seen)
        elif value.is_input:
            raise diagnostics.missing_input(value, inputs, found)
    return tuple(sorted(found, key=attrgetter("serial")))
