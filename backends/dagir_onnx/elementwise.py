"""Elementwise arithmetic."""

from __future__ import annotations

from functools import reduce
from math import exp, pi

import numpy as np

from dagir import ops
from dagir.ir.types import DType
from dagir_onnx import codes, integers
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.half_precision import narrowed, widened
from dagir_onnx.rules import rules

_SAME_NAME = {
    ops.Negative: "Neg",
    ops.Absolute: "Abs",
    ops.Sign: "Sign",
    ops.Exp: "Exp",
    ops.Log: "Log",
    ops.Sqrt: "Sqrt",
    ops.Reciprocal: "Reciprocal",
    ops.Erf: "Erf",
    ops.Floor: "Floor",
    ops.Ceil: "Ceil",
    ops.Round: "Round",
    ops.Identity: "Identity",
    ops.Add: "Add",
    ops.Subtract: "Sub",
    ops.Multiply: "Mul",
    ops.Divide: "Div",
    ops.Maximum: "Max",
    ops.Minimum: "Min",
}

for _op, _op_type in _SAME_NAME.items():
    rules.rule(_op)(lambda op, emit, *xs, op_type=_op_type: emit(op_type, *xs))


@rules.rule(ops.Square)
def square(op: ops.Square, emit: Emitter, x: Tensor) -> Tensor:
    return emit("Mul", x, x)


@rules.rule(ops.Rsqrt)
def rsqrt(op: ops.Rsqrt, emit: Emitter, x: Tensor) -> Tensor:
    return emit("Reciprocal", emit("Sqrt", x))


@rules.rule(ops.Log1p)
def log1p(op: ops.Log1p, emit: Emitter, x: Tensor) -> Tensor:
    """log(u) * x / (u - 1), u = 1 + x: exact where 1 + x rounds (Kahan; Goldberg 1991, theorem 4)."""
    one = emit.constant(1, x.type.dtype)
    u = emit("Add", x, one)
    rounded = emit("Equal", u, one)
    excess = emit("Sub", u, one)
    ratio = emit("Div", x, emit("Where", rounded, one, excess))
    scaled = emit("Mul", emit("Log", u), ratio)
    infinite = emit("IsInf", u)
    return emit("Where", infinite, u, emit("Where", rounded, x, scaled))


@rules.rule(ops.Expm1)
def expm1(op: ops.Expm1, emit: Emitter, x: Tensor) -> Tensor:
    """tanh(x/2) * (e**x + 1) near 0, where e**x - 1 cancels; e**x - 1 elsewhere."""
    one = emit.constant(1, x.type.dtype)
    power = emit("Exp", x)
    near = emit("Mul", emit("Tanh", emit("Mul", x, emit.constant(0.5, x.type.dtype))), emit("Add", power, one))
    is_near = emit("Less", emit("Abs", x), emit.constant(0.5, x.type.dtype))
    return emit("Where", is_near, near, emit("Sub", power, one))


@rules.rule(ops.Erfc)
def erfc(op: ops.Erfc, emit: Emitter, x: Tensor) -> Tensor:
    """By the midpoint rule, as in dagir_numpy, with as many terms as the dtype needs: 1 - Erf loses the digits."""
    wide = widened(emit, x)
    assert wide is not None
    step, terms = (0.5, 13) if x.type.dtype is DType.FLOAT64 else (0.7, 7)

    def number(value: float) -> Tensor:
        return emit.constant(value, wide.type.dtype)

    z = emit("Min", emit("Abs", wide), number(30))
    square = emit("Mul", z, z)
    places = [((n + 0.5) * step) ** 2 for n in reversed(range(terms))]
    shares = [emit("Div", number(exp(-place)), emit("Add", square, number(place))) for place in places]
    total = reduce(lambda left, right: emit("Add", left, right), shares)
    bell = emit("Mul", emit("Exp", emit("Neg", square)), emit("Mul", emit("Mul", z, number(2 * step / pi)), total))
    pole = emit("Div", number(2), emit("Add", emit("Exp", emit("Mul", z, number(2 * pi / step))), number(1)))
    right = emit("Add", bell, emit("Where", emit("Less", z, number(pi / step)), pole, number(0)))
    found = emit("Where", emit("Less", wide, number(0)), emit("Sub", number(2), right), right, type=wide.type)
    return narrowed(emit, found, x.type.dtype)


@rules.rule(ops.FloorDivide)
def floor_divide(op: ops.FloorDivide, emit: Emitter, x1: Tensor, x2: Tensor) -> Tensor:
    if x1.type.dtype.is_float:
        return emit("Floor", emit("Div", x1, x2))
    return integers.divided(emit, x1, x2, _floor_divided, op.op_name)


def _floor_divided(emit: Emitter, x1: Tensor, x2: Tensor) -> Tensor:
    toward_zero: Tensor = emit("Div", x1, x2)
    if x1.type.dtype.startswith("u"):
        return toward_zero
    zero = emit.constant(0, x1.type.dtype)
    inexact = emit("Not", emit("Equal", emit("Mod", x1, x2), zero))
    below_zero = emit("Xor", emit("Less", x1, zero), emit("Less", x2, zero))
    less: Tensor = emit("Sub", toward_zero, emit("Cast", emit("And", inexact, below_zero), to=TO_ONNX[x1.type.dtype]))
    return less


@rules.rule(ops.Mod)
def mod(op: ops.Mod, emit: Emitter, x1: Tensor, x2: Tensor) -> Tensor:
    if not x1.type.dtype.is_float:
        return integers.divided(emit, x1, x2, lambda emit, x1, x2: emit("Mod", x1, x2), op.op_name)
    rest = emit("Mod", x1, x2, fmod=1)  # the sign of x1; NumPy's is the sign of x2
    zero = emit.constant(0, x1.type.dtype)
    differ = emit("Less", emit("Mul", emit("Sign", rest), emit("Sign", x2)), zero)
    return emit("Where", differ, emit("Add", rest, x2), rest)


@rules.rule(ops.Cast)
def cast(op: ops.Cast, emit: Emitter, x: Tensor) -> Tensor:
    if op.dtype.is_code or x.type.dtype.is_code:
        return codes.cast(op, emit, x)
    if op.dtype.is_integer and x.type.dtype.is_float:
        return integers.rounded_in(emit, x, op.dtype)
    return emit("Cast", x, to=TO_ONNX[op.dtype])


@rules.rule(ops.Power)
def power(op: ops.Power, emit: Emitter, x1: Tensor, x2: Tensor) -> Tensor:
    if x1.type.dtype.is_float:
        return emit("Pow", x1, x2)
    return integers.power(emit, x1, x2)


@rules.rule(ops.Clip)
def clip(op: ops.Clip, emit: Emitter, x: Tensor) -> Tensor:
    dtype: DType = x.type.dtype
    low, high = np.asarray(op.minimum, dtype.numpy), np.asarray(op.maximum, dtype.numpy)
    return emit("Clip", x, emit.constant(low), emit.constant(high))
