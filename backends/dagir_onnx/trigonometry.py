"""Trigonometric and hyperbolic functions and their inverses."""

from __future__ import annotations

from math import pi

from dagir import ops
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.rules import rules

for _op, _op_type in {
    ops.Sin: "Sin",
    ops.Cos: "Cos",
    ops.Tan: "Tan",
    ops.Arcsin: "Asin",
    ops.Arccos: "Acos",
    ops.Arctan: "Atan",
    ops.Sinh: "Sinh",
    ops.Cosh: "Cosh",
    ops.Arcsinh: "Asinh",
    ops.Arccosh: "Acosh",
    ops.Arctanh: "Atanh",
}.items():
    rules.rule(_op)(lambda op, emit, x, op_type=_op_type: emit(op_type, x))


@rules.rule(ops.Arctan2)
def arctan2(op: ops.Arctan2, emit: Emitter, x1: Tensor, x2: Tensor) -> Tensor:
    """ONNX has no Atan2: the angle within the first quadrant, mirrored by the signs."""
    dtype = x1.type.dtype
    zero, one, half_turn = (emit.constant(number, dtype) for number in (0, 1, pi))
    rise, run = emit("Abs", x1), emit("Abs", x2)
    alike = emit("Where", emit("Equal", rise, zero), zero, one)  # of 0/0 and inf/inf
    ratio = emit("Where", emit("Equal", rise, run), alike, emit("Div", rise, run))
    angle = emit("Atan", ratio)
    angle = emit("Where", _is_negative(emit, x2), emit("Sub", half_turn, angle), angle)
    return emit("Where", _is_negative(emit, x1), emit("Neg", angle), angle)


def _is_negative(emit: Emitter, x: Tensor) -> Tensor:
    """Whether it is below 0, or negative zero."""
    zero = emit.constant(0, x.type.dtype)
    return emit("Or", emit("Less", x, zero), emit("Less", emit("Reciprocal", x), zero))
