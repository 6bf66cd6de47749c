"""Comparison and logic, elementwise."""

from __future__ import annotations

from dagir import ops
from dagir_onnx.emitter import Emitter, Tensor
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
    ops.Where: "Where",
}.items():
    rules.rule(_op)(lambda op, emit, *xs, op_type=_op_type: emit(op_type, *xs))


@rules.rule(ops.NotEqual)
def not_equal(op: ops.NotEqual, emit: Emitter, x1: Tensor, x2: Tensor) -> Tensor:
    return emit("Not", emit("Equal", x1, x2))
