"""Walks over what is reached step by step, from the outputs of a graph back to its inputs; none of them recurses."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

from dagir.errors import InvalidGraph
from dagir.ir import diagnostics

if TYPE_CHECKING:
    from dagir.ir.graph import Graph, Node, Value

T = TypeVar("T", bound=Hashable)


def reached(starts: Iterable[T], following: Callable[[T], Iterable[T]]) -> Iterator[T]:
    """All that `starts` lead to, themselves first, each once. following: the next ones of one."""
    pending = list(dict.fromkeys(starts))
    seen = set(pending)
    while pending:
        current = pending.pop()
        yield current
        for each in following(current):
            if each not in seen:
                seen.add(each)
                pending.append(each)


def makers(node: Node) -> list[Node]:
    """The nodes that make what a node reads."""
    return [value.node for value in node.inputs if value is not None and value.node is not None]


def ancestors(node: Node) -> Iterator[Node]:
    """The nodes that a node depends on, itself first, each once."""
    return reached([node], makers)


def last_readers(graph: Graph) -> dict[Node, list[Value]]:
    """For each node the values that no later node reads or makes."""
    last = {value: node for node in graph.nodes for value in (*node.inputs, *node.outputs) if value is not None}
    found: dict[Node, list[Value]] = {}
    for value, node in last.items():
        found.setdefault(node, []).append(value)
    return found


def values_behind(outputs: Iterable[Value]) -> Iterator[Value]:
    """The values that outputs are computed from, themselves first, each once."""
    return reached(outputs, lambda value: [x for x in value.node.inputs if x is not None] if value.node else [])


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
