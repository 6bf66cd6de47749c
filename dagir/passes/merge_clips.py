"""Merge consecutive limits (Relu, Minimum, Maximum, Clip) into one Clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TypeAlias

from dagir import ops
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.rewriter import Operands, emit, rebuild
from dagir.passes.formulas import number
from dagir.passes.pipeline import Pass

Limits: TypeAlias = tuple[float, float]

_LIMITS = (ops.Relu, ops.Clip, ops.Minimum, ops.Maximum)


@dataclass(frozen=True)
class MergeClips(Pass):
    """Minimum(Relu(x), 6)        =>   Clip(x, 0, 6)

    Clip(Maximum(x, a), b, c)  =>   Clip(x, b', c')
    """

    name = "merge-clips"

    def __call__(self, graph: Graph) -> Graph:
        """Rewrite in one walk: the operands of a node are merged before the node."""
        return rebuild(graph, _merge)


def _merge(node: Node, operands: Operands) -> Sequence[Value] | None:
    outer = _limits(node, operands)
    if outer is None:
        return None
    value, (low, high) = outer
    inner = _limits(value.node, value.node.inputs) if value.node is not None else None
    if inner is None:
        return None
    source, limits = inner
    lowest, highest = (min(max(limit, low), high) for limit in limits)
    if (lowest, highest) == (0, inf):
        return [emit(node, ops.Relu(), source)]
    return [emit(node, ops.Clip(lowest, highest), source)]


def _limits(node: Node, operands: Operands) -> tuple[Value, Limits] | None:
    """The value that the node limits, and the limits; None for other ops."""
    op, x = node.op, operands[0] if operands else None
    if x is None or not isinstance(op, _LIMITS) or not node.output.dtype.is_float:
        return None
    if isinstance(op, ops.Relu):
        return x, (0.0, inf)
    if isinstance(op, ops.Clip):
        return x, (op.minimum, op.maximum)
    if isinstance(op, (ops.Minimum, ops.Maximum)):
        for value, limit in (operands, operands[::-1]):
            known = number(limit)
            if known is not None and value is not None and value.type == node.output.type:
                return value, (known, inf) if isinstance(op, ops.Maximum) else (-inf, known)
    return None
