"""Operations on the bits of integers."""

from __future__ import annotations

from dagir import ops
from dagir.ir.types import DType
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.integers import shift_amount
from dagir_onnx.rules import rules

for _op, _op_type in {
    ops.BitwiseNot: "BitwiseNot",
    ops.BitwiseAnd: "BitwiseAnd",
    ops.BitwiseOr: "BitwiseOr",
    ops.BitwiseXor: "BitwiseXor",
}.items():
    rules.rule(_op)(lambda op, emit, *xs, op_type=_op_type: emit(op_type, *xs))


@rules.rule(ops.LeftShift)
def left_shift(op: ops.LeftShift, emit: Emitter, x1: Tensor, x2: Tensor) -> Tensor:
    """ONNX shifts unsigned integers; a signed one has the same bits."""
    return _signed(emit, _shifted(emit, _unsigned(emit, x1), x2, "LEFT"), x1)


@rules.rule(ops.RightShift)
def right_shift(op: ops.RightShift, emit: Emitter, x1: Tensor, x2: Tensor) -> Tensor:
    """For a negative number the bits are inverted before and after, so that ones are shifted in."""
    dtype = x1.type.dtype
    if dtype.value.startswith("u"):
        return _shifted(emit, x1, x2, "RIGHT")
    is_negative = emit("Less", x1, emit.constant(0, dtype))
    turn = emit("Neg", emit("Cast", is_negative, to=TO_ONNX[dtype], type=x1.type))
    positive = _unsigned(emit, emit("BitwiseXor", x1, turn))
    shifted = _signed(emit, _shifted(emit, positive, x2, "RIGHT"), x1)
    return emit("BitwiseXor", shifted, turn)


def _shifted(emit: Emitter, x1: Tensor, x2: Tensor, direction: str) -> Tensor:
    amount = _unsigned(emit, shift_amount(emit, x2))
    found: Tensor = emit("BitShift", x1, amount, direction=direction)
    return found


def _unsigned(emit: Emitter, x: Tensor) -> Tensor:
    name = x.type.dtype.value
    if name.startswith("u"):
        return x
    return emit("Cast", x, to=TO_ONNX[DType(f"u{name}")], type=x.type.with_dtype(DType(f"u{name}")))


def _signed(emit: Emitter, x: Tensor, like: Tensor) -> Tensor:
    return x if x.type.dtype is like.type.dtype else emit("Cast", x, to=TO_ONNX[like.type.dtype])
