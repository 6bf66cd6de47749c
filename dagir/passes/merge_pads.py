"""Merge a Pad with zeros into the padding of the convolution or pool that reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from dagir import ops
from dagir.ir.graph import Graph, Node, Op, Value
from dagir.ir.rewriter import Operands, emit, rebuild
from dagir.passes.pipeline import Pass

Pairs: TypeAlias = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class MergePads(Pass):
    """Conv(Pad(x, p), padding="valid")      =>   Conv(x, padding=p)

    MaxPool(Pad(Relu(x), p), "valid")   =>   MaxPool(Relu(x), padding=p)

    A MaxPool pads with -infinity. That gives the same result as 0 if no element of x is negative and each window holds
    an element of x. An average pool does not count its padding, so its Pad is kept.
    """

    name = "merge-pads"

    def __call__(self, graph: Graph) -> Graph:
        """One walk."""
        return rebuild(graph, _merge)


def _merge(node: Node, operands: Operands) -> Sequence[Value] | None:
    op, padded = node.op, operands[0] if operands else None
    if not isinstance(op, (ops.Conv, ops.MaxPool)) or padded is None or padded.node is None:
        return None
    source = padded.node.inputs[0] if isinstance(padded.node.op, ops.Pad) else None
    border = _border(padded.node.op, op)
    own = _own_pads(op, node, padded)
    if source is None or border is None or own is None:
        return None
    pads = tuple((a + c, b + d) for (a, b), (c, d) in zip(border, own, strict=True))
    if isinstance(op, ops.MaxPool) and not (_fits(op, own, pads) and _never_negative(source)):
        return None
    merged = emit(node, replace(op, padding=pads), source, *operands[1:])
    return [merged] if merged.type == node.output.type else None


def _border(pad: Op, op: ops.Conv | ops.MaxPool) -> Pairs | None:
    """What a Pad adds to the spatial axes; None if it pads with other values, crops, or changes other axes."""
    if not isinstance(pad, ops.Pad) or pad.mode != "constant" or pad.value != 0:
        return None
    others = [pair for axis, pair in enumerate(pad.pads) if axis not in op.spatial_axes]
    found = tuple(pad.pads[axis] for axis in op.spatial_axes)
    if any(pair != (0, 0) for pair in others) or any(min(pair) < 0 for pair in found):
        return None
    return found


def _own_pads(op: ops.Conv | ops.MaxPool, node: Node, padded: Value) -> Pairs | None:
    """The op's own padding of the padded input; None if it depends on sizes that are known only at run time."""
    sizes = tuple(padded.type.shape[axis] for axis in op.spatial_axes)
    if isinstance(op, ops.MaxPool):
        pads = op.pads(sizes)
    else:
        w = node.inputs[1]
        assert w is not None
        pads = op.pads(sizes, [int(size) for size in w.type.shape[: op.rank] if isinstance(size, int)])
    found = tuple((low, high) for low, high in pads if isinstance(low, int) and isinstance(high, int))
    return found if len(found) == op.rank else None


def _fits(op: ops.MaxPool, own: Pairs, pads: Pairs) -> bool:
    """Whether each window holds an element of x, and the pool has no padding of its own."""
    inside = op.is_plain and all(max(pair) < window for pair, window in zip(pads, op.pool_size, strict=True))
    return inside and all(pair == (0, 0) for pair in own)


def _never_negative(value: Value) -> bool:
    """Whether no element of the value is negative; for a pool or transpose, this is asked of its input."""
    while value.node is not None and isinstance(value.node.op, (ops.MaxPool, ops.AveragePool, ops.Transpose)):
        (source,) = value.node.inputs
        assert source is not None
        value = source
    return value.node is not None and value.dtype.is_float and value.node.op.is_nonnegative()
