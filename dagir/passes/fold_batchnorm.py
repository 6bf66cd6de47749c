"""Fold BatchNorm, or any scale and shift of channels, into the weights of the linear map before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dagir import ops
from dagir.ir.arrays import release
from dagir.ir.graph import Graph, Node, Parameter, Value
from dagir.ir.leaves import is_leaf
from dagir.ir.rewriter import Operands, emit, rebuild
from dagir.ir.types import Array, DType, TensorType
from dagir.passes.affine import Affine, Numbers, affine
from dagir.passes.derived import Derived, leaf_array
from dagir.passes.pipeline import Pass
from dagir.passes.ranges import Ranges
from dagir.passes.uses import count_uses


@dataclass(frozen=True)
class FoldBatchNorm(Pass):
    """Conv(x, w, b) -> BatchNorm(gamma, beta, mean, var)   =>   Conv(x, w * s, (b - mean) * s + beta)

    Conv(x, w, b) * s + t                                =>   Conv(x, w * s, b * s + t)

    s = gamma / sqrt(var + epsilon), for each output channel; computed in float64. Also after ConvTranspose and Linear.
    Only if no other node reads the convolution, and no product of weights leaves the normal range of its dtype.
    The folded weights are new weights with the same names: the old ones may belong to other graphs too.
    """

    name = "fold-batchnorm"

    def __call__(self, graph: Graph) -> Graph:
        """Rewrite in one walk: the result of a fold may be folded again."""
        uses, ranges = count_uses(graph), Ranges()

        def fold(node: Node, operands: Operands) -> Sequence[Value] | None:
            found = affine(node, operands)
            if found is None or found.x.node is None:
                return None
            source = node.inputs[operands.index(found.x)]
            return _fold(found.x.node, found, ranges) if source is not None and uses[source] == 1 else None

        return rebuild(graph, fold)


def _fold(maker: Node, found: Affine, ranges: Ranges) -> Sequence[Value] | None:
    channel_axis = output_channels(maker)
    if channel_axis is None or found.axis not in (channel_axis, None):
        return None
    source, w, b = (*maker.inputs, None)[:3]
    if w is None or source is None or not is_leaf(w) or (b is not None and not is_leaf(b)):
        return None
    axis = w.type.rank - (2 if isinstance(maker.op, ops.ConvTranspose) else 1)
    groups = maker.op.groups if isinstance(maker.op, ops.ConvTranspose) else 1
    channels = TensorType(w.dtype, (w.type.shape[axis] * groups,))

    def factors() -> Array:
        assert found.scale is not None
        return _over_filters(found.scale(), w.type, axis, groups)

    kernel = w if found.scale is None else product(w, factors, found.sources, ranges)
    if kernel is None:
        return None
    if b is None and found.shift is None:
        return [emit(maker, maker.op, source, kernel)]
    name = name_of(b, "bias") if b is not None else sibling(name_of(w, "kernel"), "bias")
    bias = _scaled_bias(name, channels, found, b)
    return [emit(maker, maker.op, source, kernel, bias.value)] if np.isfinite(bias.array).all() else None


def _over_filters(scale: Array, kernel: TensorType, axis: int, groups: int) -> Array:
    """A number for each filter in a shape that broadcasts with the kernel. groups: of a transposed convolution."""
    if groups == 1 or scale.size == 1:
        return scale.reshape([-1 if i == axis else 1 for i in range(kernel.rank)])
    channels = kernel.shape[-1]
    assert isinstance(channels, int)
    found: Array = scale.reshape(groups, -1).repeat(channels // groups, axis=0).T  # a group reads its channels only
    return found


def _scaled_bias(name: str, channels: TensorType, found: Affine, b: Value | None) -> Derived:
    """b * scale + shift; an absent bias counts as 0, an absent scale as 1, an absent shift as 0."""

    def biases(shape: tuple[int, ...], dtype: DType) -> Array:
        bias = np.zeros(shape) if b is None else wide(b)
        scaled = bias if found.scale is None else bias * found.scale()
        return rounded(np.broadcast_to(scaled + (0 if found.shift is None else found.shift()), shape), dtype)

    return Derived(name, channels, biases, (b, *found.sources))


def product(weight: Value, factors: Numbers, sources: Operands, ranges: Ranges) -> Value | None:
    """A leaf times float64 factors computed from `sources`; None if a product leaves the normal range of the dtype."""
    found = ranges.product(weight, factors())
    if found is None:
        return None
    name = name_of(weight, "kernel")
    made = Derived(name, weight.type, lambda _, __: scaled(weight, factors()), (weight, *sources)).value
    ranges.note(made, found)
    return made


def output_channels(maker: Node) -> int | None:
    """The axis of the result that the bias is added along; None for ops that are not linear maps."""
    if isinstance(maker.op, ops.Linear):
        return maker.output.type.rank - 1
    return maker.op.channel_axis if isinstance(maker.op, (ops.Conv, ops.ConvTranspose)) else None


def wide(value: Value) -> Array:
    """The array of a leaf, in float64."""
    array = leaf_array(value)
    found: Array = array.astype(np.float64)
    release(array)
    return found


def rounded(array: Array, dtype: DType) -> Array:
    """A float64 array rounded to a dtype; numbers that are too large for it become infinite."""
    with np.errstate(over="ignore"):
        return array.astype(dtype.numpy)


def scaled(value: Value, factors: Array) -> Array:
    """The array of a leaf times float64 factors, each product rounded once; no whole float64 array is made."""
    array = leaf_array(value)
    found: Array = np.empty(array.shape, array.dtype)
    np.multiply(array, factors, out=found, dtype=np.float64, casting="unsafe")
    release(array)
    return found


def name_of(value: Value, default: str) -> str:
    """The name of a parameter, or a default."""
    return value.source.name if isinstance(value.source, Parameter) else default


def sibling(name: str, last: str) -> str:
    """The name of another weight of the same layer."""
    return f"{name.rpartition('/')[0]}/{last}" if "/" in name else last
