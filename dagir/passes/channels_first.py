"""The layout pass: channels-last to channels-first, with transposes at the edges only.

Each value has up to two physical versions: as written ("last") and with its channels moved to axis 1 ("first"). Ops
bound to a layout (convolutions, pools, upsampling) read the first version of their input and yield a first version. Ops
that work in any layout use the first version if one of their operands exists only in that version, or if only bound ops
read their result. All other ops read the last version. A version that is needed and does not exist yet is made by one
Transpose, and reused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dagir import ops
from dagir.ir.arrays import frozen
from dagir.ir.graph import Constant, Graph, Node, Op, Parameter, Value
from dagir.ir.leaves import is_leaf
from dagir.ir.rewriter import Operands, copy_node, emit
from dagir.ir.types import Array, DType, Shape
from dagir.ir.value_map import record
from dagir.passes.derived import Derived, reshaped
from dagir.passes.layouts import Follow, follow, move_axes, to_first, to_last
from dagir.passes.pipeline import Pass
from dagir.passes.uses import count_uses


@dataclass(frozen=True)
class ChannelsFirst(Pass):
    """Conv(x) -> Relu -> Conv   =>   Transpose(x) -> Conv' -> Relu -> Conv' -> Transpose

    Conv' has data_format="channels_first". A network that ends in a global pool has no Transpose at its end.
    """

    name = "channels-first"

    def __call__(self, graph: Graph) -> Graph:
        """Rewrite in one walk; the graph itself is returned if no op is bound to a layout."""
        if not any(_is_bound(node.op) for node in graph.nodes):
            return graph
        layouts = _Layouts()
        pulled = _pulled(graph)
        for node in graph.nodes:
            _rewrite(node, layouts, node in pulled)
        outputs = [layouts.last(value, None) for value in graph.outputs]
        layouts.record()
        return Graph(graph.inputs, outputs, graph.name)


class _Layouts:
    """The physical versions of each value of the old graph."""

    def __init__(self) -> None:
        self._last: dict[Value, Value] = {}
        self._first: dict[Value, Value] = {}
        self._made_first: list[Value] = []

    def only_first(self, value: Value | None) -> bool:
        return value is not None and value in self._first and value not in self._last and not is_leaf(value)

    def record(self) -> None:
        """Record for each old value its new value: the version that an op computes, not the transpose of it."""
        made = {value: self._first[value] for value in self._made_first}
        record({**self._last, **made}, {value: to_last(version.type.rank) for value, version in made.items()})

    def set_last(self, value: Value, version: Value) -> None:
        self._last[value] = version

    def set_first(self, value: Value, version: Value) -> None:
        self._first[value] = version
        self._made_first.append(value)

    def last(self, value: Value, node: Node | None) -> Value:
        """The channels-last version. `node` is the reader; a new Transpose may take its layer scope from it."""
        if value not in self._last:
            if value not in self._first:
                return value
            made = self._first[value]
            self._last[value] = _permute(made.node or node, made, to_last(made.type.rank))
        return self._last[value]

    def first(self, value: Value, node: Node) -> Value:
        """The channels-first version: the channels are on axis 1."""
        if value not in self._first:
            source = self._last.get(value, value)
            self._first[value] = _permute(node, source, to_first(source.type.rank))
        return self._first[value]


def _is_bound(op: Op) -> bool:
    return op.bound_to_layout and getattr(op, "data_format", None) == "channels_last"


def _pulled(graph: Graph) -> set[Node]:
    """Nodes whose results are read only by bound ops, directly or through other such nodes: they become channels-first.

    So the Transpose is inserted before these nodes, where another branch may need it too.
    """
    uses, wanted = count_uses(graph), Counter[Value]()
    found: set[Node] = set()
    for node in reversed(graph.nodes):
        data = [value for value in node.inputs if value is not None and not is_leaf(value)]
        if _is_bound(node.op):
            wanted.update(node.inputs[:1])  # type: ignore[arg-type]  # x is never absent
        elif len(data) == len(node.outputs) == 1 and 0 < wanted[node.output] == uses[node.output]:
            plan = follow(node)
            if plan is not None and plan.yields_first:
                found.add(node)
                wanted.update(data)
    return found


def _rewrite(node: Node, layouts: _Layouts, pulled: bool) -> None:
    if _is_bound(node.op):
        _rewrite_bound(node, layouts)
        return
    special = _SPECIAL.get(type(node.op))
    if special is not None and layouts.only_first(node.inputs[0]) and special(node, layouts):
        return
    if pulled or any(layouts.only_first(value) for value in node.inputs):
        plan = follow(node)
        if plan is not None:
            _rewrite_following(node, plan, layouts)
            return
    operands = tuple([None if value is None else layouts.last(value, node) for value in node.inputs])
    kept = node if operands == node.inputs else copy_node(node, operands)
    for old, new in zip(node.outputs, kept.outputs, strict=True):
        layouts.set_last(old, new)


def _rewrite_bound(node: Node, layouts: _Layouts) -> None:
    x, *rest = node.inputs
    assert x is not None
    operands = (layouts.first(x, node), *(None if value is None else layouts.last(value, node) for value in rest))
    op: Any = node.op  # it has a data_format
    made = emit(node, replace(op, data_format="channels_first"), *operands)
    layouts.set_first(node.output, made)


def _rewrite_linear(node: Node, layouts: _Layouts) -> bool:
    """Write a linear map of the channels as a convolution with a kernel of size 1."""
    x, w, b = (*node.inputs, None)[:3]
    assert x is not None
    rank = x.type.rank - 2
    if w is None or not is_leaf(w) or not 1 <= rank <= 3:
        return False
    op = ops.Conv((1,) * rank, "valid", (1,) * rank, 1, "channels_first")
    kernel = reshaped(w, (1,) * rank + w.type.shape)
    layouts.set_first(node.output, emit(node, op, layouts.first(x, node), kernel, b))
    return True


def _rewrite_layer_norm(node: Node, layouts: _Layouts) -> bool:
    """Normalize over axis 1; scale and shift become separate ops, which can be folded into a convolution after them."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, (ops.LayerNorm, ops.RMSNorm))
    assert x is not None
    rank = x.type.rank
    vectors = [value for value in node.inputs[1:] if value is not None]
    if op.axes != (rank - 1,) or not all(is_leaf(value) for value in vectors):
        return False
    y = emit(node, replace(op, axes=(1,)), layouts.first(x, node))
    for value, combine in zip(node.inputs[1:], (ops.Multiply(), ops.Add()), strict=False):
        if value is not None:
            y = emit(node, combine, y, reshaped(value, (*value.type.shape, *[1] * (rank - 2))))
    layouts.set_first(node.output, y)
    return True


def _rewrite_following(node: Node, plan: Follow, layouts: _Layouts) -> None:
    def version(value: Value | None, moves: bool) -> Value | None:
        if value is None:
            return None
        return _aligned(value, plan.rank, node, layouts) if moves else layouts.last(value, node)

    operands: Operands = tuple([version(v, moves) for v, moves in zip(node.inputs, plan.operands, strict=True)])
    made = copy_node(node, operands, plan.op)
    for old, new in zip(node.outputs, made.outputs, strict=True):
        (layouts.set_first if plan.yields_first else layouts.set_last)(old, new)


def _aligned(value: Value, rank: int, node: Node, layouts: _Layouts) -> Value:
    """The channels-first version of an operand; one of lower rank is reshaped to `rank` axes before its axes move."""
    if value.type.rank == 0:
        return value
    if value.type.rank == rank and not is_leaf(value):
        return layouts.first(value, node)
    full: Shape = (1,) * (rank - value.type.rank) + value.type.shape
    if is_leaf(value):
        return _moved_leaf(value, full)
    grown = value if len(full) == value.type.rank else emit(node, ops.Reshape(full), layouts.last(value, node))
    return _permute(node, grown, to_first(rank))


def _moved_leaf(value: Value, full: Shape) -> Value:
    """The channels-first version of a weight or constant; a weight is transposed each time it is read."""
    source, axes = value.source, to_first(len(full))
    shape = move_axes(full, axes)

    def rearranged(array: Array) -> Array:
        return array.reshape(full).transpose(axes)  # type: ignore[arg-type]

    if isinstance(source, Constant):
        return Constant(frozen(rearranged(source.array))).value
    assert isinstance(source, Parameter)

    def initialize(_: Shape, __: DType) -> Array:
        return rearranged(source.array)

    kind = value.type.with_shape(shape)
    return Derived(source.name, kind, initialize, (value,), trainable=source.trainable).value


def _permute(node: Node | None, value: Value, axes: Sequence[int]) -> Value:
    """A Transpose; or a Reshape, which is cheaper, if only axes of size 1 move."""
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


_SPECIAL: dict[type[Op], Callable[[Node, _Layouts], bool]] = {
    ops.Linear: _rewrite_linear,
    ops.LayerNorm: _rewrite_layer_norm,
    ops.RMSNorm: _rewrite_layer_norm,
}
"""Ops on the channels that become others when the channels move. Each says whether it could."""
