"""BatchNorm after a linear map is part of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dagir import ops
from dagir.graph import Constant, Graph, Node, Parameter, Value
from dagir.passes.derived import Derived
from dagir.passes.pipeline import Pass
from dagir.passes.uses import count_uses
from dagir.rewriting import Operands, emit, rebuild
from dagir.types import Array, DType, TensorType

_Leaf = Parameter | Constant


@dataclass(frozen=True)
class FoldBatchNorm(Pass):
    """Conv(x, w, b) -> BatchNorm(gamma, beta, mean, var)   =>   Conv(x, w * s, (b - mean) * s + beta)

    s = gamma / sqrt(var + epsilon), for each output channel; computed in float64. Also after ConvTranspose and Linear.
    Only where nothing else reads the convolution. The weights are new Parameters of the same names: the old ones
    may belong to other graphs too.
    """

    name = "fold-batchnorm"

    def __call__(self, graph: Graph) -> Graph:
        """One walk."""
        uses = count_uses(graph)

        def fold(node: Node, operands: Operands) -> Sequence[Value] | None:
            source, x = node.inputs[0] if node.inputs else None, operands[0] if operands else None
            if not isinstance(node.op, ops.BatchNorm) or source is None or x is None or uses[source] != 1:
                return None
            return _fold(node, node.op, x, operands[1:])

        return rebuild(graph, fold)


def _fold(node: Node, norm: ops.BatchNorm, x: Value, statistics: Operands) -> Sequence[Value] | None:
    maker = x.node
    if maker is None or _output_channels(maker) != norm.axis:
        return None
    source, w, b = (*maker.inputs, None)[:3]
    leaves = [value.source for value in (w, b, *statistics) if value is not None]
    if w is None or source is None or not all(isinstance(leaf, (Parameter, Constant)) for leaf in leaves):
        return None
    axis = w.type.rank - (2 if isinstance(maker.op, ops.ConvTranspose) else 1)
    channels = TensorType(w.dtype, (w.type.shape[axis],))

    def scale_and_shift() -> tuple[Array, Array]:
        gamma, beta, mean, var = (_wide(value) for value in (*statistics, None, None, None, None)[:4])
        assert mean is not None and var is not None  # noqa: PT018  # both are required operands
        scale = (1.0 if gamma is None else gamma) / np.sqrt(var + norm.epsilon)
        bias = _wide(b)
        return scale, ((0.0 if bias is None else bias) - mean) * scale + (0.0 if beta is None else beta)

    def weights(shape: tuple[int, ...], dtype: DType) -> Array:
        scale, _ = scale_and_shift()
        wide = _wide(w)
        assert wide is not None
        return (wide * scale.reshape([-1 if i == axis else 1 for i in range(len(shape))])).astype(dtype.numpy)

    def biases(shape: tuple[int, ...], dtype: DType) -> Array:
        return scale_and_shift()[1].astype(dtype.numpy)

    folded = Derived(_name(w, "kernel"), w.type, weights)
    bias_name = _name(b, "bias") if b is not None else _sibling(folded.name, "bias")
    return [emit(maker, maker.op, source, folded.value, Derived(bias_name, channels, biases).value)]


def _output_channels(maker: Node) -> int | None:
    """The axis of the result on which each weight of a bias stands."""
    if isinstance(maker.op, ops.Linear):
        return maker.output.type.rank - 1
    return maker.op.channel_axis if isinstance(maker.op, (ops.Conv, ops.ConvTranspose)) else None


def _wide(value: Value | None) -> Array | None:
    if value is None:
        return None
    assert isinstance(value.source, (Parameter, Constant))
    return value.source.array.astype(np.float64)


def _name(value: Value, default: str) -> str:
    return value.source.name if isinstance(value.source, Parameter) else default


def _sibling(name: str, last: str) -> str:
    return f"{name.rpartition('/')[0]}/{last}" if "/" in name else last
