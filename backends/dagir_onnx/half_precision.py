"""float16 and bfloat16 where onnxruntime's CPU has no kernel for them: computed in float32, and rounded once.

The NumPy backend does so with every half. onnxruntime itself adds such casts around float16, unless ONNX does not list
float16 for the operator. Around bfloat16 it adds none, and few of its kernels take it.
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
_WITHOUT_FLOAT16: frozenset[type[Op]] = frozenset({ops.Celu, ops.ScatterElements, ops.ScatterUpdate})
_WITH_BFLOAT16: frozenset[type[Op]] = frozenset({ops.Cast, ops.If, ops.Loop, ops.Scan})
"""Beside the ops that only move numbers, whose CPU kernels take any dtype. Bodies are widened node by node."""
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
    """The results of a node by its rule, in float32 in place of halves where the CPU has no kernel for these."""
    if emit.device != "cpu" or not _lacks_a_kernel(node):
        return _results(node, emit, operands)
    wide = [widened(emit, tensor) for tensor in operands]
    with emit.at(copy_node(node, tuple(_wide(value) for value in node.inputs))):
        results = _results(node, emit, wide)
    pairs = zip(node.outputs, results, strict=True)
    return tuple(narrowed(emit, result, value.dtype) for value, result in pairs)


def _results(node: Node, emit: Emitter, operands: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
    rule = rules[type(node.op)]
    try:
        found = rule(node.op, emit, *operands)
    except Exception as error:
        told = rules.user_error(node, error)
        if told is None:
            raise
        raise told from error
    return rules.results(node, found, Tensor)


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
    """A half-precision tensor as float32, for kernels that do not exist for halves, and for accurate sums."""
    if tensor is None or tensor.type.dtype not in _HALVES:
        return tensor
    wide = tensor.type.with_dtype(DType.FLOAT32)
    return cast(Tensor, emit("Cast", tensor, to=TO_ONNX[DType.FLOAT32], type=wide))


def narrowed(emit: Emitter, tensor: Tensor, dtype: DType) -> Tensor:
    """The tensor in `dtype` again, if that is a half."""
    if dtype not in _HALVES:
        return tensor
    return cast(Tensor, emit("Cast", tensor, to=TO_ONNX[dtype], type=tensor.type.with_dtype(dtype)))
