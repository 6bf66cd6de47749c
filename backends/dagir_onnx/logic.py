"""Comparison and logic, elementwise."""

from __future__ import annotations

from dagir import ops
from dagir.ir.types import DType
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.integers import cast
from dagir_onnx.rules import rules

for _op, _op_type in {
    ops.LogicalNot: "Not",
    ops.IsNan: "IsNaN",
    ops.Equal: "Equal",
    ops.Less: "Less",
    ops.LessEqual: "LessOrEqual",
    ops.Greater: "Greater",
    ops.GreaterEqual: "GreaterOrEqual",
    ops.LogicalAnd: "And",
    ops.LogicalOr: "Or",
    ops.LogicalXor: "Xor",
}.items():
    rules.rule(_op)(lambda op, emit, *xs, op_type=_op_type: emit(op_type, *xs))


@rules.rule(ops.NotEqual)
def not_equal(op: ops.NotEqual, emit: Emitter, x1: Tensor, x2: Tensor) -> Tensor:
    return emit("Not", emit("Equal", x1, x2))


_SELECTED_AS = {
    DType.BOOL: DType.UINT8,
    DType.INT8: DType.INT32,
    DType.INT16: DType.INT32,
    DType.UINT16: DType.INT32,
    DType.UINT32: DType.INT64,
}
"""Dtypes that onnxruntime has no kernel of Where for, and the ones that hold their numbers."""


@rules.rule(ops.Where)
def where(op: ops.Where, emit: Emitter, condition: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    dtype = x1.type.dtype
    wide = _SELECTED_AS.get(dtype)
    if wide is None:
        return emit("Where", condition, x1, x2)
    given = [cast(emit, x, wide) for x in (x1, x2)]
    (made,) = op.infer(condition.type, *(x.type for x in given))
    return cast(emit, emit("Where", condition, *given, type=made), dtype)
