"""Fold a scale and shift of channels into the weights of the linear map after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import cast

import numpy as np

from dagir import ops
from dagir.ir.graph import Graph, Node, Op, Value
from dagir.ir.leaves import is_leaf
from dagir.ir.rewriter import Operands, emit, rebuild
from dagir.ir.types import Array, DType, Shape, TensorType
from dagir.passes.affine import Affine, Numbers, affine
from dagir.passes.derived import Derived
from dagir.passes.fold_batchnorm import name_of, product, rounded, sibling, wide
from dagir.passes.pipeline import Pass
from dagir.passes.ranges import Ranges, largest
from dagir.passes.uses import count_uses


@dataclass(frozen=True)
class FoldScales(Pass):
    """Conv(x * s + t, w, b)   =>   Conv(x, s * w, b + sum of t * w)

    s and t have one number for each input channel; BatchNorm is such a scale and shift. Computed in float64. Also for
    Linear and, if t is 0, for ConvTranspose. If the convolution pads, t must be 0 too, since the border is 0 and not t.
    Only if no other node reads the scaled value, and no product of weights leaves the normal range of its dtype.
    """

    name = "fold-scales"

    def __call__(self, graph: Graph) -> Graph:
        """Rewrite in one walk: for each linear map, fold the ops directly before it, one after the other."""
        uses, ranges = count_uses(graph), Ranges()

        def fold(node: Node, operands: Operands) -> Sequence[Value] | None:
            if not isinstance(node.op, (ops.Conv, ops.ConvTranspose, ops.Linear)):
                return None
            old, new = node.inputs[0], operands[0]
            kernel, bias = (*operands[1:], None)[:2]
            while old is not None and new is not None and new.node is not None and uses[old] == 1:
                found = affine(new.node, new.node.inputs)
                folded = None if found is None else _fold(node, found, kernel, bias, ranges)
                if found is None or folded is None or old.node is None:
                    break
                old, new = old.node.inputs[new.node.inputs.index(found.x)], found.x
                kernel, bias = folded
            return None if new is operands[0] else [emit(node, node.op, new, kernel, bias)]

        return rebuild(graph, fold)


def _fold(
    node: Node, found: Affine, w: Value | None, b: Value | None, ranges: Ranges
) -> tuple[Value, Value | None] | None:
    """Kernel and bias with the scale and shift folded in; None if they cannot be folded."""
    op = node.op
    if w is None or not is_leaf(w) or (b is not None and not is_leaf(b)) or not _on_channels(node, found.axis):
        return None
    if found.shift is not None and not _reads_nothing_else(op):
        return None

    def factors() -> Array:
        assert found.scale is not None
        return over_inputs(op, w.type, found.scale())

    kernel = w if found.scale is None else product(w, factors, found.sources, ranges)
    if kernel is None or found.shift is None:
        return None if kernel is None else (kernel, b)
    bias = _moved_bias(op, found, found.shift, w, b, ranges)
    return None if bias is None else (kernel, bias)


def over_inputs(op: Op, kernel: TensorType, vector: Array) -> Array:
    """A vector over the input channels, reshaped so that it broadcasts against the kernel."""
    rank, shape = kernel.rank, cast(tuple[int, ...], kernel.shape)
    if vector.size == 1:
        return vector.reshape([1] * rank)
    if isinstance(op, ops.Conv) and op.groups > 1:  # the filters of a group read the channels of that group only
        grouped: Array = vector.reshape(op.groups, shape[-2]).repeat(shape[-1] // op.groups, axis=0).T
        return grouped
    axis = rank - (1 if isinstance(op, ops.ConvTranspose) else 2)
    return vector.reshape([-1 if i == axis else 1 for i in range(rank)])


def _moved_bias(op: Op, found: Affine, shift: Numbers, w: Value, b: Value | None, ranges: Ranges) -> Value | None:
    """The bias plus what the shift contributes; None if it leaves the range of its dtype."""
    shape = cast(tuple[int, ...], w.type.shape)

    def biases(_: Shape, dtype: DType) -> Array:
        moved: Array = (wide(w) * over_inputs(op, w.type, shift())).reshape(-1, shape[-1]).sum(0)
        return rounded(moved if b is None else moved + wide(b), dtype)

    name = name_of(b, "bias") if b is not None else sibling(name_of(w, "kernel"), "bias")
    bias = Derived(name, TensorType(w.dtype, shape[-1:]), biases, (w, b, *found.sources))
    largest_sum = ranges.of(w).most * float(np.abs(shift()).max()) * prod(shape)
    if not largest_sum <= largest(w.dtype) / 2 and not np.isfinite(bias.array).all():
        return None
    return bias.value


def _on_channels(node: Node, axis: int | None) -> bool:
    if axis is None:
        return True
    if isinstance(node.op, ops.Linear):
        return axis == node.output.type.rank - 1
    return isinstance(node.op, (ops.Conv, ops.ConvTranspose)) and axis == node.op.channel_axis


def _reads_nothing_else(op: Op) -> bool:
    """Whether every output is a sum over the whole kernel: the op has no padding."""
    if isinstance(op, ops.Conv):
        return op.padding in ("valid", ((0, 0),) * op.rank)
    return isinstance(op, ops.Linear)
