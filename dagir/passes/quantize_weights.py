"""Weights as codes: with inputs that are quantized as they come, or in blocks of 4 bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ml_dtypes
import numpy as np

from dagir import ops
from dagir.ir.arrays import frozen
from dagir.ir.graph import Constant, Graph, Node, Op, Parameter, Value
from dagir.ir.rewriter import Operands, copy_node, rebuild
from dagir.ir.types import Array, DType, TensorType, type_of
from dagir.passes.derived import leaf_array
from dagir.passes.dynamic_codes import dynamic_codes
from dagir.passes.pipeline import Pass
from dagir.passes.quantize import Codes, has_stored_kernels, has_weight
from dagir.passes.quantize_recurrences import with_coded_kernels

_LARGEST_CODE = 7
_WIDER = 1.1
"""How much larger the mean square of the steps may be where a matrix has one scale, which saves little time."""


@dataclass(frozen=True)
class QuantizeDynamic(Pass):
    """y = Linear(x, w, b)   =>   q, s, z = DynamicQuantizeLinear(x), y = Cast(MatMulInteger(q, w', z)) * (s * s') + b

    w' are codes with a scale s' for the matrix or for each column, as of `codes_for_product`. x is quantized once for
    all that read it. An LSTM becomes a DynamicQuantizeLSTM; other recurrences get their kernels as codes, and compute
    in float. nodes: those of the graph that is given. full_range: whether codes are int8, which saturates without VNNI.
    """

    name = "quantize-dynamic"
    nodes: frozenset[Node] = frozenset()
    full_range: bool = False

    def __call__(self, graph: Graph) -> Graph:
        """One walk."""
        coded: dict[Value, tuple[Value, ...]] = {}

        def transform(node: Node, operands: Operands) -> Sequence[Value] | None:
            x, w = (*operands, None, None)[:2]
            if node not in self.nodes or x is None or w is None:
                return None
            if has_stored_kernels(node):
                return with_coded_kernels(node, operands, self.full_range)
            if x not in coded:
                coded[x] = _node(node, ops.DynamicQuantizeLinear(), x).outputs
            return [self._product(node, coded[x], w, operands[2] if len(operands) > 2 else None)]

        return rebuild(graph, transform)

    def _product(self, node: Node, x: Sequence[Value], w: Value, b: Value | None) -> Value:
        array = leaf_array(w)
        codes = codes_for_product(array, self.full_range)
        quantized, scale, zero = x
        weight = _stored(node, w, codes.coded(array), "kernel")
        own_zero = [Constant(frozen(codes.zero)).value] if codes.zero.any() else []
        product = _node(node, ops.MatMulInteger(), quantized, weight, zero, *own_zero).outputs[0]
        factors = _node(node, ops.Multiply(), scale, Constant(frozen(codes.scale)).value).outputs[0]
        whole = _node(node, ops.Cast(DType.FLOAT32), product).outputs[0]
        numbers = _node(node, ops.Multiply(), whole, factors).outputs[0]
        return numbers if b is None else _node(node, ops.Add(), numbers, b).outputs[0]


@dataclass(frozen=True)
class QuantizeBlocks(Pass):
    """y = Linear(x, w, b)   =>   y = Linear(x, Transpose(DequantizeLinear(w', s')), b)

    w' are int4 codes from -7 to 7, transposed, with a scale for each column of w and each block of `block_size` rows.
    The transpose keeps the product in float: onnxruntime makes MatMulNBits of a DequantizeLinear right before it, which
    by default quantizes x to 8 bits too. nodes: those of the graph that is given.
    """

    name = "quantize-blocks"
    nodes: frozenset[Node] = frozenset()
    block_size: int = 32

    def __call__(self, graph: Graph) -> Graph:
        """One walk; a weight that several nodes read is coded once."""
        coded: dict[Value, Value] = {}

        def transform(node: Node, operands: Operands) -> Sequence[Value] | None:
            w = operands[1] if len(operands) > 1 else None
            if node not in self.nodes or w is None:
                return None
            if w not in coded:
                codes, scale = blocks(leaf_array(w), self.block_size)
                weight = _stored(node, w, codes.T.astype(ml_dtypes.int4), "kernel")
                op = ops.DequantizeLinear(1, self.block_size)
                turned = _node(node, op, weight, Constant(frozen(scale.T)).value).outputs[0]
                coded[w] = _node(node, ops.Transpose((1, 0)), turned).outputs[0]
            return copy_node(node, (operands[0], coded[w], *operands[2:])).outputs

        return rebuild(graph, transform)


def codes_for_product(array: Array, full_range: bool) -> Codes:
    """Codes of a matrix that is multiplied with codes, as of `dynamic_codes`.

    Of many rows, onnxruntime takes no longer with uint8 than with int8 on a CPU with VNNI, where both have one kernel,
    and a fifth longer on others, where int8 would saturate.
    """
    return dynamic_codes(array, full_range, _WIDER)


def blocks(array: Array, block_size: int) -> tuple[Array, Array]:
    """The codes of a matrix [i, o], and the scales [blocks, o]: of some, those that lose least in the mean square."""
    rows, columns = array.shape
    count = -(-rows // block_size)
    padded = np.zeros((count * block_size, columns))
    padded[:rows] = array
    parts = padded.reshape(count, block_size, columns)
    largest = np.abs(parts).max(axis=1)
    best, least = np.ones(largest.shape, np.float32), np.full(largest.shape, np.inf)
    for share in np.linspace(1.0, 0.7, 7):
        scale = (share * largest / _LARGEST_CODE).astype(np.float32)
        scale = np.where(scale >= np.finfo(np.float32).tiny, scale, np.float32(1.0)).astype(np.float32)
        error = np.square(_codes_of(parts, scale) * scale[:, None].astype(np.float64) - parts).sum(axis=1)
        best, least = np.where(error < least, scale, best), np.minimum(error, least)
    return _codes_of(parts, best).reshape(-1, columns)[:rows].astype(np.int8), best.astype(np.float32)


def _codes_of(parts: Array, scale: Array) -> Array:
    return np.asarray(np.clip(np.rint(parts / scale[:, None].astype(np.float64)), -_LARGEST_CODE, _LARGEST_CODE))


def is_linear_map(node: Node) -> bool:
    """Whether a node is a product with a stored matrix."""
    return isinstance(node.op, ops.Linear) and has_weight(node)


def _stored(node: Node, like: Value, codes: Array, name: str) -> Value:
    source = like.source
    title = source.name if isinstance(source, Parameter) else f"{node.outputs[0].name}/{name}"
    return Parameter(title, type_of(codes), array=frozen(codes), trainable=False).value


def _node(like: Node, op: Op, *operands: Value) -> Node:
    types: tuple[TensorType, ...] = tuple(op.infer(*[value.type for value in operands]))
    return Node(op, operands, types, scope=like.scope, location=like.location)
