"""New axes of size 1 before what repeats or reshapes a value, which then makes them too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagir import ops
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.rewriter import Operands, emit, rebuild
from dagir.passes.pipeline import Pass
from dagir.passes.uses import count_uses


@dataclass(frozen=True)
class ExpandEarly(Pass):
    """ExpandDims(BroadcastTo(x))   =>   BroadcastTo(ExpandDims(x)), if nothing else reads the broadcast x

    ExpandDims(Reshape(x))       =>   Reshape(x)
    """

    name = "expand-early"

    def __call__(self, graph: Graph) -> Graph:
        """One walk."""
        uses = count_uses(graph)

        def expand(node: Node, operands: Operands) -> Sequence[Value] | None:
            if not isinstance(node.op, ops.ExpandDims) or operands[0] is None:
                return None
            inner, axis = operands[0].node, node.op.axis
            (before,) = node.inputs
            if inner is None or before is None or inner.inputs[0] is None:
                return None
            target = node.output.type.shape
            if isinstance(inner.op, ops.Reshape):
                return [emit(node, ops.Reshape(target), inner.inputs[0])]
            if not isinstance(inner.op, ops.BroadcastTo) or uses[before] != 1:
                return None
            x = inner.inputs[0]
            place = axis - (inner.output.ndim - x.ndim)
            x = _expanded(inner, x, place) if place >= 0 else x
            return [emit(node, ops.BroadcastTo(target), x)]

        return rebuild(graph, expand)


def _expanded(like: Node, x: Value, axis: int) -> Value:
    """x with the new axis; a reshape before it makes that too."""
    made = x.node
    if made is not None and isinstance(made.op, ops.Reshape) and made.inputs[0] is not None:
        shape = x.type.shape
        return emit(like, ops.Reshape((*shape[:axis], 1, *shape[axis:])), made.inputs[0], named=False)
    return emit(like, ops.ExpandDims(axis), x, named=False)
