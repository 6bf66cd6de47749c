"""Elementwise arithmetic, comparison and logic."""

from __future__ import annotations

from typing import Any

from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules

for _op, _function in {
    ops.Negative: K.negative,
    ops.Absolute: K.absolute,
    ops.Sign: K.sign,
    ops.Exp: K.exp,
    ops.Log: K.log,
    ops.Log1p: K.log1p,
    ops.Expm1: K.expm1,
    ops.Sqrt: K.sqrt,
    ops.Rsqrt: K.rsqrt,
    ops.Square: K.square,
    ops.Reciprocal: K.reciprocal,
    ops.Sin: K.sin,
    ops.Cos: K.cos,
    ops.Tan: K.tan,
    ops.Erf: K.erf,
    ops.Floor: K.floor,
    ops.Ceil: K.ceil,
    ops.Round: K.round,
    ops.LogicalNot: K.logical_not,
    ops.IsNan: K.isnan,
    ops.Add: K.add,
    ops.Subtract: K.subtract,
    ops.Multiply: K.multiply,
    ops.Divide: K.divide,
    ops.FloorDivide: K.floor_divide,
    ops.Mod: K.mod,
    ops.Power: K.power,
    ops.Maximum: K.maximum,
    ops.Minimum: K.minimum,
    ops.Equal: K.equal,
    ops.NotEqual: K.not_equal,
    ops.Less: K.less,
    ops.LessEqual: K.less_equal,
    ops.Greater: K.greater,
    ops.GreaterEqual: K.greater_equal,
    ops.LogicalAnd: K.logical_and,
    ops.LogicalOr: K.logical_or,
    ops.LogicalXor: K.logical_xor,
    ops.Where: K.where,
}.items():
    rules.rule(_op)(lambda op, *xs, function=_function: function(*xs))


@rules.rule(ops.Identity)
def identity(op: ops.Identity, x: Any) -> Any:
    return x


@rules.rule(ops.Cast)
def cast(op: ops.Cast, x: Any) -> Any:
    return K.cast(x, str(op.dtype))


@rules.rule(ops.Clip)
def clip(op: ops.Clip, x: Any) -> Any:
    return K.clip(x, op.minimum, op.maximum)
