"""The walk of the layout passes: a graph in another layout, with transposes at the edges only.

Each value has up to two physical versions: as written, and moved, with its channels on the axis that the wanted layout
gives them. Ops bound to a layout (convolutions, pools, upsampling) read the moved version of their input and yield a
moved version. Ops that work in any layout use the moved version if one of their operands exists only in that version,
or if only bound ops read their result. All other ops read the written version. A version that is needed and does not
exist yet is made by one Transpose, and reused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from dagir import ops
from dagir.ir.graph import Graph, Node, Op, Value
from dagir.ir.leaves import is_leaf
from dagir.ir.rewriter import Operands, copy_node, emit
from dagir.ir.types import Shape
from dagir.ir.value_map import record
from dagir.passes.derived import rearranged
from dagir.passes.layouts import Follow, Turn, follow, move_axes
from dagir.passes.uses import count_uses

Bound: TypeAlias = Callable[[Node], bool]
Special: TypeAlias = "Mapping[type[Op], Callable[[Node, Versions], bool]]"


def relayout(graph: Graph, turn: Turn, bound: Bound, special: Special) -> Graph:
    """Rewrite in one walk; the graph itself is returned if no node is bound to the written layout.

    bound: whether a node is one that the turn is made for. special: ops on the channels that become others when the
    channels move; each rule says whether it could.
    """
    if not any(map(bound, graph.nodes)):
        return graph
    walk = _Walk(Versions(turn), bound, special)
    pulled = _pulled(graph, turn, bound)
    for node in graph.nodes:
        walk.rewrite(node, node in pulled)
    outputs = [walk.versions.written(value, None) for value in graph.outputs]
    walk.versions.record()
    return Graph(graph.inputs, outputs, graph.name)


def is_bound(node: Node, turn: Turn) -> bool:
    """Whether the op of a node is bound to the layout that is written."""
    return node.op.bound_to_layout and getattr(node.op, "data_format", None) == turn.written


class Versions:
    """The physical versions of each value of the old graph."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self._written: dict[Value, Value] = {}
        self._moved: dict[Value, Value] = {}
        self._made_moved: list[Value] = []

    def only_moved(self, value: Value | None) -> bool:
        """Whether a value exists in the wanted layout alone."""
        return value is not None and value in self._moved and value not in self._written and not is_leaf(value)

    def record(self) -> None:
        """Record for each old value its new value: the version that an op computes, not the transpose of it."""
        made = {value: self._moved[value] for value in self._made_moved}
        axes = {value: self.turn.back(version.type.rank) for value, version in made.items()}
        record({**self._written, **made}, axes)

    def set_written(self, value: Value, version: Value) -> None:
        """Note the version of a value that an op computes, in the layout that it is written in."""
        self._written[value] = version

    def set_moved(self, value: Value, version: Value) -> None:
        """Note the version of a value that an op computes, in the wanted layout."""
        self._moved[value] = version
        self._made_moved.append(value)

    def written(self, value: Value, node: Node | None) -> Value:
        """The version as written. `node` is the reader; a new Transpose may take its layer scope from it."""
        if value not in self._written:
            if value not in self._moved:
                return value
            made = self._moved[value]
            self._written[value] = permuted(made.node or node, made, self.turn.back(made.type.rank))
        return self._written[value]

    def moved(self, value: Value, node: Node) -> Value:
        """The version in the wanted layout."""
        if value not in self._moved:
            source = self._written.get(value, value)
            self._moved[value] = permuted(node, source, self.turn.there(source.type.rank))
        return self._moved[value]


def _pulled(graph: Graph, turn: Turn, bound: Bound) -> set[Node]:
    """Nodes whose results are read only by bound ops, directly or through other such nodes: they are moved too.

    So the Transpose is inserted before these nodes, where another branch may need it too.
    """
    uses, wanted = count_uses(graph), Counter[Value]()
    found: set[Node] = set()
    for node in reversed(graph.nodes):
        data = [value for value in node.inputs if value is not None and not is_leaf(value)]
        if bound(node):
            wanted.update(value for value in node.inputs[:1] if value is not None)
        elif len(data) == len(node.outputs) == 1 and 0 < wanted[node.output] == uses[node.output]:
            plan = follow(node, turn)
            if plan is not None and plan.yields_moved:
                found.add(node)
                wanted.update(data)
    return found


@dataclass(frozen=True)
class _Walk:
    """The nodes of one graph, rewritten in their order."""

    versions: Versions
    bound: Bound
    special: Special

    def rewrite(self, node: Node, pulled: bool) -> None:
        """Rewrite a node, whose operands have their versions by now. pulled: only bound ops read its results."""
        versions = self.versions
        if self.bound(node):
            self._rewrite_bound(node)
            return
        special = self.special.get(type(node.op))
        if special is not None and versions.only_moved(node.inputs[0]) and special(node, versions):
            return
        if pulled or any(versions.only_moved(value) for value in node.inputs):
            plan = follow(node, versions.turn)
            if plan is not None:
                self._rewrite_following(node, plan)
                return
        operands = tuple([None if value is None else versions.written(value, node) for value in node.inputs])
        kept = node if operands == node.inputs else copy_node(node, operands)
        for old, new in zip(node.outputs, kept.outputs, strict=True):
            versions.set_written(old, new)

    def _rewrite_bound(self, node: Node) -> None:
        x, *rest = node.inputs
        assert x is not None
        others = [None if value is None else self.versions.written(value, node) for value in rest]
        op: Any = node.op  # it has a data_format
        made = copy_node(
            node, (self.versions.moved(x, node), *others), replace(op, data_format=self.versions.turn.wanted)
        )
        for old, new in zip(node.outputs, made.outputs, strict=True):
            self.versions.set_moved(old, new)

    def _rewrite_following(self, node: Node, plan: Follow) -> None:
        versions = self.versions

        def version(value: Value | None, moves: bool) -> Value | None:
            if value is None:
                return None
            return _aligned(value, plan.rank, node, versions) if moves else versions.written(value, node)

        operands: Operands = tuple([version(v, moves) for v, moves in zip(node.inputs, plan.operands, strict=True)])
        made = copy_node(node, operands, plan.op)
        for old, new in zip(node.outputs, made.outputs, strict=True):
            (versions.set_moved if plan.yields_moved else versions.set_written)(old, new)


def _aligned(value: Value, rank: int, node: Node, versions: Versions) -> Value:
    """The moved version of an operand; one of lower rank is reshaped to `rank` axes before its axes move."""
    if value.type.rank == 0:
        return value
    if value.type.rank == rank and not is_leaf(value):
        return versions.moved(value, node)
    full: Shape = (1,) * (rank - value.type.rank) + value.type.shape
    axes = versions.turn.there(rank)
    if is_leaf(value):
        return rearranged(value, full, axes)
    if len(full) > value.type.rank:
        value = emit(node, ops.Reshape(full), versions.written(value, node), named=False)
    return permuted(node, value, axes)


def permuted(node: Node | None, value: Value, axes: Sequence[int]) -> Value:
    """A Transpose; or a Reshape, which is cheaper, if only axes of size 1 move; or the value that was transposed."""
    if value.node is not None and isinstance(value.node.op, ops.Transpose):
        (source,) = value.node.inputs
        if source is not None and move_axes(value.node.op.axes, axes) == tuple(range(len(axes))):
            return source
    shape = value.type.shape
    moving = [axis for axis in axes if shape[axis] != 1]
    op: Op = ops.Transpose(tuple(axes)) if moving != sorted(moving) else ops.Reshape(move_axes(shape, axes))
    made = Node(
        op,
        (value,),
        (value.type.with_shape(move_axes(shape, axes)),),
        scope=node.scope if node is not None else None,
        location=node.location if node is not None else None,
    )
    return made.output
