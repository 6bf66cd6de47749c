"""Remove nodes that do nothing at inference, and merge consecutive reshapes and transposes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.graph import Constant, Graph, Node, Op, Value
from dagir.ir.rewriter import Operands, emit, rebuild
from dagir.passes.merge_transposes import merge_reshapes, merge_transposes
from dagir.passes.pipeline import Pass

Rule: TypeAlias = Callable[..., Value | None]  # of the node, its op, and its operands
_FEW = 1 << 12
_SLICE_FIELDS = ("axes", "starts", "stops", "steps")


@dataclass(frozen=True)
class DropIdentities(Pass):
    """Identity(x), Dropout(x), Cast to its own dtype, Reshape to its own shape, Pad by 0, a full Slice,
    Concatenate of x alone   =>   x

    x + 0, x - 0, x * 1, x / 1   =>   x

    Slice(Slice(x))           =>   Slice(x), of different axes
    Reshape(Reshape(x))       =>   Reshape(x)
    Transpose(Transpose(x))   =>   Transpose(x), or x
    """

    name = "drop-identities"

    def __call__(self, graph: Graph) -> Graph:
        """Rewrite in one walk: the operands of a node are simplified before the node."""
        return rebuild(graph, _simplify)


def _simplify(node: Node, operands: Operands) -> Sequence[Value] | None:
    rule = _RULES.get(type(node.op))
    x = operands[0] if operands else None
    if rule is None or x is None:
        return None
    found = rule(node, node.op, *operands)
    return None if found is None else [found]


def _same(node: Node, op: Op, x: Value) -> Value | None:
    return x


def _if_same_type(node: Node, op: Op, x: Value) -> Value | None:
    return x if node.output.type == x.type else None


def _neutral(node: Node, op: Op, *operands: Value) -> Value | None:
    """x + 0, 0 + x, x - 0, x * 1, 1 * x, x / 1."""
    number = 0 if isinstance(op, (ops.Add, ops.Subtract)) else 1
    pairs = [operands, operands[::-1]] if isinstance(op, (ops.Add, ops.Multiply)) else [operands]
    for x, neutral in pairs:
        if x.type == node.output.type and _is_all(neutral, number):
            return x
    return None


def _is_all(value: Value, number: int) -> bool:
    source = value.source
    return isinstance(source, Constant) and source.array.size <= _FEW and bool((source.array == number).all())


def _pad(node: Node, op: ops.Pad, x: Value) -> Value | None:
    return x if not any(low or high for low, high in op.pads) else None


def _slice(node: Node, op: ops.Slice, x: Value) -> Value | None:
    whole = all(
        start == 0 and step == 1 and (stop is None or _reaches(stop, x.type.shape[axis]))
        for axis, start, stop, step in zip(op.axes, op.starts, op.stops, op.steps, strict=True)
    )
    if whole:
        return x
    inner = x.node
    if inner is None or not isinstance(inner.op, ops.Slice) or not set(op.axes).isdisjoint(inner.op.axes):
        return None
    both = sorted(zip(*(getattr(inner.op, n) + getattr(op, n) for n in _SLICE_FIELDS), strict=True))
    source = inner.inputs[0]
    return None if source is None else emit(node, ops.Slice(*zip(*both, strict=True)), source)


def _reaches(stop: int, size: Dim) -> bool:
    """Whether a slice to `stop` takes the last element too."""
    return isinstance(size, int) and stop >= size


def _only_one(node: Node, op: ops.Concatenate, *operands: Value) -> Value | None:
    return operands[0] if len(operands) == 1 else None


_RULES: dict[type[Op], Rule] = {
    **dict.fromkeys((ops.Add, ops.Subtract, ops.Multiply, ops.Divide), _neutral),
    ops.Identity: _same,
    ops.Dropout: _same,
    ops.GaussianNoise: _same,
    ops.GaussianDropout: _same,
    ops.AlphaDropout: _same,
    ops.Cast: _if_same_type,
    ops.BroadcastTo: _if_same_type,
    ops.Reshape: merge_reshapes,
    ops.Transpose: merge_transposes,
    ops.Pad: _pad,
    ops.Slice: _slice,
    ops.Concatenate: _only_one,
}
