"""New graphs from old ones: a transform sees every node; unchanged nodes are shared; the old graph is not modified."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TypeAlias

import numpy as np

from dagir.errors import InvalidGraph
from dagir.ir.graph import Constant, Graph, Node, Op, Parameter, Value
from dagir.ir.op import inferred
from dagir.ir.types import Equation, Inferred
from dagir.ir.value_map import record
from dagir.support.location import LayerCall

Operands: TypeAlias = tuple[Value | None, ...]
Transform: TypeAlias = Callable[[Node, Operands], Sequence[Value] | None]
Mapped: TypeAlias = dict[Value | None, Value | None]


def rebuild(
    graph: Graph, transform: Transform, *, inputs: Sequence[Value] | None = None, known: Mapping[Value, Value] = {}
) -> Graph:
    """Walk the nodes in order; `transform(node, operands)` gives the new outputs, or None to keep the node.

    `operands` are the node's inputs in the new graph. A node that is kept with the same operands is the same
    object in both graphs. Returns `graph` itself where nothing changed. inputs: replacements for graph.inputs.
    """
    new_inputs = graph.inputs if inputs is None else tuple(inputs)
    values: Mapped = {None: None}
    values.update(known.items())
    values.update(zip(graph.inputs, new_inputs, strict=True))
    for node in graph.nodes:
        operands = tuple([values.get(value, value) for value in node.inputs])
        outputs = transform(node, operands)
        if outputs is None:
            outputs = node.outputs if operands == node.inputs else copy_node(node, operands).outputs
        if outputs is not node.outputs:
            values.update(zip(node.outputs, outputs, strict=True))
    given = set(graph.inputs)  # an input of a body may be a value of the graph around it, which stays as it is there
    record({old: new for old, new in values.items() if old is not None and new is not None and old not in given})
    results = tuple([value for old in graph.outputs if (value := values.get(old, old)) is not None])
    if results == graph.outputs and new_inputs == graph.inputs:
        return graph
    return Graph(new_inputs, results, graph.name)


def copy_node(
    node: Node,
    operands: Operands,
    op: Op | None = None,
    *,
    scope: LayerCall | None = None,
    equations: tuple[Equation, ...] = (),
    named: bool = True,
) -> Node:
    """The same call event over other operands, and with another op if given; layer and source line stay.

    scope: the layer call that the copy belongs to, where that is another. equations: more that must hold at run time.
    """
    given = [None if value is None else value.type for value in operands]
    if op is None and given == [None if value is None else value.type for value in node.inputs]:
        found = Inferred(tuple([value.type for value in node.outputs]), node.equations)
    else:
        found = inferred(node.op if op is None else op, given)
    return Node(
        node.op if op is None else op,
        operands,
        found.types,
        scope=scope if scope is not None else node.scope,
        location=node.location,
        equations=equations + found.equations,
        name=node.name if named else None,
    )


def emit(like: Node, op: Op, *operands: Value | None, named: bool = True) -> Value:
    """A new node for a pass: it takes layer and source line from the node that it replaces.

    named: whether it takes its name too, which only the node may have whose output replaces the old one.
    """
    return copy_node(like, operands, op, named=named).outputs[0]


def replace(graph: Graph, replacements: Mapping[Value, Value]) -> Graph:
    """The graph with some values replaced by others of the same type. Raises InvalidGraph."""
    for old, new in replacements.items():
        if old.type != new.type:
            raise InvalidGraph(f"{old.name} has type {old.type}, its replacement has {new.type}")

    def transform(node: Node, operands: Operands) -> Sequence[Value] | None:
        if not any(value in replacements for value in node.outputs):
            return None
        kept = node if operands == node.inputs else copy_node(node, operands)
        return [replacements.get(old, new) for old, new in zip(node.outputs, kept.outputs, strict=True)]

    return rebuild(graph, transform)


def structurally_equal(left: Graph, right: Graph) -> bool:
    """Whether two graphs have the same ops on the same operands, in whatever order their nodes were made.

    Inputs correspond by position, parameters are the same object or hold equal arrays, constants equal arrays.
    """
    if len(left.inputs) != len(right.inputs) or len(left.outputs) != len(right.outputs):
        return False
    matched: dict[Value, Value] = dict(zip(left.inputs, right.inputs, strict=True))
    partner: dict[Value, Value] = {}  # the reverse map: a node that is shared on one side must be shared on the other
    if any(a.type != b.type for a, b in matched.items()):
        return False
    pending = list(zip(left.outputs, right.outputs, strict=True))
    while pending:
        a, b = pending.pop()
        if a in matched:
            if matched[a] is not b and not (a.node is None and _same_leaf(matched[a], b)):
                return False
            continue
        matched[a] = b
        if b.node is not None and partner.setdefault(b, a) is not a:
            return False
        operands = _matching_operands(a, b)
        if operands is None:
            return False
        pending.extend(operands)
    return True


def _matching_operands(a: Value, b: Value) -> list[tuple[Value, Value]] | None:
    """The pairs of operands that are left to compare; None if `a` and `b` already differ."""
    if a.node is None or b.node is None:
        return [] if _same_leaf(a, b) else None
    if not _same_call(a, b, a.node, b.node):
        return None
    pairs = list(zip(a.node.inputs, b.node.inputs, strict=True))
    if any((x is None) != (y is None) for x, y in pairs):
        return None
    return [(x, y) for x, y in pairs if x is not None and y is not None]


def _same_call(a: Value, b: Value, left: Node, right: Node) -> bool:
    return (
        a.index == b.index and same_op(left.op, right.op) and a.type == b.type and len(left.inputs) == len(right.inputs)
    )


def same_op(left: Op, right: Op) -> bool:
    """Whether two ops are equal. Graphs inside them are compared by structure."""
    if left == right:
        return True
    pairs = [(getattr(left, field.name), getattr(right, field.name, None)) for field in fields(left)]
    return type(left) is type(right) and all(
        structurally_equal(a, b) if isinstance(a, Graph) and isinstance(b, Graph) else a == b for a, b in pairs
    )


def _same_leaf(a: Value, b: Value) -> bool:
    if a is b:
        return True
    x, y = a.source, b.source
    if type(x) is not type(y) or a.type != b.type:
        return False
    if isinstance(x, (Parameter, Constant)) and isinstance(y, (Parameter, Constant)):
        return bool(np.array_equal(x.array, y.array))
    return False
