"""What the interpreter finds out about a graph before it runs it, once for each graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from dagir.ir.graph import Constant, Graph, Node, Op, Value
from dagir.ir.traversal import last_readers
from dagir.ir.types import DType
from dagir.ops import Linear
from dagir_numpy.chains import Chain, chained
from dagir_numpy.rules import rules

_HALVES = (DType.FLOAT16, DType.BFLOAT16)


@dataclass(frozen=True, slots=True)
class Task:
    """What one node takes to run, found once: most nodes of small networks take less time than to find it again.

    fixed: whether the op has no sizes that are known at run time only. dtypes: of the outputs, as NumPy has them.
    """

    node: Node
    op: Op
    fixed: bool
    rule: Callable[..., Any]
    inputs: tuple[Value | None, ...]
    outputs: tuple[Value, ...]
    dtypes: tuple[Any, ...]
    freed: tuple[Value, ...]


@dataclass(frozen=True)
class Step:
    """A node, or several that make a chain. task: of a node that needs nothing but its rule."""

    nodes: tuple[Node, ...]
    chain: Chain | None = None
    task: Task | None = None


@dataclass(frozen=True)
class Plan:
    """steps: all nodes in order. freed: for each node the values that no later one reads. sizing: see `_sizing`."""

    steps: Sequence[Step]
    freed: dict[Node, list[Value]]
    sizing: frozenset[Node]


_plans: WeakKeyDictionary[Graph, Plan] = WeakKeyDictionary()


def plan_of(graph: Graph) -> Plan:
    """The plan of a graph, made when it is first asked for."""
    plan = _plans.get(graph)
    if plan is None:
        sizing = _sizing(graph)
        freed = _freed(graph)
        plan = _plans[graph] = Plan(_steps(graph, sizing, freed), freed, sizing)
    return plan


def _sizing(graph: Graph) -> frozenset[Node]:
    """The nodes that compute a size from other sizes and constants: floor(3 / (3 / 5)) is 5 in float32, as it is meant.

    In another precision the size could be another one, and all that follows. They are computed in their own dtype.
    """
    if not any(node.op.size_fields for node in graph.nodes):
        return frozenset()
    known: set[Value] = set()
    for node in graph.nodes:
        read = [value for value in node.inputs if value is not None]
        if not node.op.graph_fields and all(each in known or isinstance(each.source, Constant) for each in read):
            known.update(node.outputs)
    needed: set[Value] = set()
    for node in reversed(graph.nodes):
        if node.op.size_fields or not needed.isdisjoint(node.outputs):
            needed.update(value for value in node.inputs if value in known)
    return frozenset(node for node in graph.nodes if not needed.isdisjoint(node.outputs))


def _task(node: Node, freed: dict[Node, list[Value]]) -> Task | None:
    """None for a node that runs a graph, decides sizes, computes in halves, or widens its kernel in parts."""
    op = node.op
    if op.graph_fields or op.size_fields or isinstance(op, Linear) or type(op) not in rules:
        return None
    if any(value.dtype in _HALVES for value in node.outputs):
        return None
    fixed = all(isinstance(size, int) for name in op.shape_fields for size in getattr(op, name))
    dtypes = tuple(value.dtype.numpy for value in node.outputs)
    return Task(node, op, fixed, rules[type(op)], node.inputs, node.outputs, dtypes, tuple(freed.get(node, ())))


def _steps(graph: Graph, sizing: frozenset[Node], freed: dict[Node, list[Value]]) -> list[Step]:
    last = {value: place for place, node in enumerate(graph.nodes) for value in node.inputs if value is not None}
    last.update(dict.fromkeys(graph.outputs, len(graph.nodes)))
    steps, place = [], 0
    while place < len(graph.nodes):
        chain = chained(graph.nodes, place, lambda value, end: last.get(value, -1) >= end)
        if chain is not None and not sizing.isdisjoint(chain.nodes):
            chain = None
        nodes = graph.nodes[place : place + 1] if chain is None else chain.nodes
        steps.append(Step(tuple(nodes), chain, None if chain is not None else _task(nodes[0], freed)))
        place += len(nodes)
    return steps


def _freed(graph: Graph) -> dict[Node, list[Value]]:
    """For each node the values that no later node reads: their arrays are freed after it."""
    outputs = set(graph.outputs)
    last = last_readers(graph)
    return {node: [value for value in values if value not in outputs] for node, values in last.items()}
