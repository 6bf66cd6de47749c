"""float16 and bfloat16 where onnxruntime's CPU has no kernel for them: computed in float32, and rounded once.

That is what the NumPy backend does with every half. onnxruntime puts such casts around float16 by itself, but not
where ONNX's own list of types lacks it; around bfloat16 it puts none, and few of its kernels take it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from dagir import ops
from dagir.ir.graph import Node, Op, Value
from dagir.ir.rewriter import copy_node
from dagir.ir.types import DType
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.rules import rules

_HALVES = (DType.FLOAT16, DType.BFLOAT16)
_WITHOUT_FLOAT16: frozenset[type[Op]] = frozenset({ops.Celu, ops.ScatterUpdate})
_WITH_BFLOAT16: frozenset[type[Op]] = frozenset({ops.Cast, ops.Scan})
"""Beside the ops that only move numbers, whose CPU kernels take any dtype. A Scan's body is widened node by node."""
_WITHOUT_BFLOAT16: frozenset[type[Op]] = frozenset(
    {
        ops.AlphaDropout,
        ops.BroadcastTo,
        ops.GaussianDropout,
        ops.GaussianNoise,
        ops.Tile,
        ops.Where,
        ops.Window,
    }
)
"""Ops that only move numbers, but are computed in float32: onnxruntime's kernels of some take no bfloat16."""


def apply_rule(node: Node, emit: Emitter, operands: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
    """What the rule of a node writes, on float32 in place of halves where the CPU has no kernel for these."""
    rule = rules[type(node.op)]
    if emit.device != "cpu" or not _lacks_a_kernel(node):
        found = rule(node.op, emit, *operands)
        return found if isinstance(found, tuple) else (found,)
    wide = [widened(emit, tensor) for tensor in operands]
    with emit.at(copy_node(node, tuple(_wide(value) for value in node.inputs))):
        found = rule(node.op, emit, *wide)
    results = found if isinstance(found, tuple) else (found,)
    return tuple(narrowed(emit, tensor, value.dtype) for tensor, value in zip(results, node.outputs, strict=True))


def _lacks_a_kernel(node: Node) -> bool:
    dtypes = {value.dtype for value in node.inputs if value is not None}
    if DType.BFLOAT16 in dtypes:
        moves = node.op.moves_only and type(node.op) not in _WITHOUT_BFLOAT16
        return not moves and type(node.op) not in _WITH_BFLOAT16
    return DType.FLOAT16 in dtypes and type(node.op) in _WITHOUT_FLOAT16


def _wide(value: Value | None) -> Value | None:
    if value is None or value.dtype not in _HALVES:
        return value
    return Value(value.type.with_dtype(DType.FLOAT32), name=value.name)


def widened(emit: Emitter, tensor: Tensor | None) -> Tensor | None:
    """A half-precision tensor as float32: the CPU lacks kernels for halves, and sums want the bits."""
    if tensor is None or tensor.type.dtype not in _HALVES:
        return tensor
    wide = tensor.type.with_dtype(DType.FLOAT32)
    return cast(Tensor, emit("Cast", tensor, to=TO_ONNX[DType.FLOAT32], type=wide))


def narrowed(emit: Emitter, tensor: Tensor, dtype: DType) -> Tensor:
    """The tensor in `dtype` again, if that is a half."""
    if dtype not in _HALVES:
        return tensor
    return cast(Tensor, emit("Cast", tensor, to=TO_ONNX[dtype], type=tensor.type.with_dtype(dtype)))
