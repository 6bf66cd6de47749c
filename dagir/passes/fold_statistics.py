"""Fold the statistics of a BatchNorm that is left into its two other vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dagir import ops
from dagir.ir.arrays import frozen
from dagir.ir.graph import Constant, Graph, Node, Parameter, Value
from dagir.ir.rewriter import Operands, emit, rebuild
from dagir.ir.types import Array, DType, TensorType
from dagir.passes.affine import Numbers, affine
from dagir.passes.derived import Derived, leaf_array
from dagir.passes.fold_batchnorm import FoldBatchNorm, name_of, rounded, sibling
from dagir.passes.pipeline import Pass


@dataclass(frozen=True)
class FoldStatistics(Pass):
    """BatchNorm(x, gamma, beta, mean, var)   =>   BatchNorm(x, s, beta - mean * s, 0, 1) with an epsilon of 0

    s = gamma / sqrt(var + epsilon), computed in float64. Still a BatchNorm: onnxruntime keeps channels in blocks
    through BatchNormalization, but not through Mul and Add. With these, DenseNet121 took 1.15 times as long. In
    training the result would be scaled otherwise: without fold-batchnorm the four vectors stay as they are.
    """

    name = FoldBatchNorm.name

    def __call__(self, graph: Graph) -> Graph:
        """Rewrite in one walk."""
        fixed: dict[tuple[float, TensorType], Value] = {}

        def same(number: float, like: Value) -> Value:
            """A vector of one number, of which there is one for all normalizations."""
            key = number, like.type
            if key not in fixed:
                fixed[key] = Constant(frozen(np.full(leaf_array(like).shape, number, like.dtype.numpy))).value
            return fixed[key]

        def rewrite(node: Node, operands: Operands) -> Sequence[Value] | None:
            if not isinstance(node.op, ops.BatchNorm) or _is_folded(operands):
                return None
            found, var = affine(node, operands), operands[4]
            if found is None or found.scale is None or found.shift is None or var is None:
                return None
            scale = _vector(operands[1], "gamma", found.scale, operands)
            offset = _vector(operands[2], "beta", found.shift, operands)
            op = replace(node.op, epsilon=0.0)
            return [emit(node, op, found.x, scale, offset, same(0.0, var), same(1.0, var))]

        return rebuild(graph, rewrite)


def _is_folded(operands: Operands) -> bool:
    return all(value is not None and isinstance(value.source, Constant) for value in operands[3:])


def _vector(old: Value | None, role: str, make: Numbers, operands: Operands) -> Value:
    """The vector in place of gamma or beta; it trains if one of these does."""
    vectors, var = operands[1:], operands[4]
    assert var is not None
    name = name_of(old, role) if old is not None else sibling(name_of(var, "var"), role)
    trained = [v for v in vectors[:2] if v is not None and isinstance(v.source, Parameter) and v.source.trainable]

    def numbers(_: tuple[int, ...], dtype: DType) -> Array:
        return rounded(make(), dtype)

    return Derived(name, var.type, numbers, vectors, trainable=bool(trained)).value
