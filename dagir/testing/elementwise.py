"""Strategies for elementwise ops."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from dagir import ops
from dagir.ir.types import DType
from dagir.testing.cases import OpCase, arrays, shapes, strategy_for, whole_numbers

_FLOAT = ("float32",)
_NUMBER = ("float32", "float32", "int32", "int64", "int8", "uint8", "uint32")
_SIGNED = ("float32", "float32", "int32", "int64", "int16", "int8")
_WHOLE = ("int32", "int64", "int16", "int8", "uint8", "uint16", "uint32")
_DOMAIN: dict[type[object], tuple[float, float]] = {
    ops.Erfc: (-4.0, 9.0),
    ops.Log: (0.1, 5.0),
    ops.Log1p: (-0.9, 5.0),
    ops.Sqrt: (0.0, 5.0),
    ops.Rsqrt: (0.1, 5.0),
    ops.Reciprocal: (0.1, 5.0),
}


def unary_strategy(op: type[Any], domain: tuple[float, float] | None = None) -> None:
    """Register a strategy for an op of one operand, with the dtypes that it accepts. domain: where it is defined."""

    @strategy_for(op)
    @st.composite
    def draw_case(draw: st.DrawFn) -> OpCase:
        kinds = {"float": _FLOAT, "number": _NUMBER, "signed": _SIGNED, "bool": ("bool",), "any": (*_NUMBER, "bool")}
        dtype = draw(st.sampled_from(kinds[op.accepts]))
        if "int" in dtype:
            return OpCase(op(), (draw(whole_numbers(shapes(), dtype)),))
        low, high = domain or _DOMAIN.get(op, (-3.0, 3.0))
        return OpCase(op(), (draw(arrays(shapes(), dtype, low, high)),))


for _op in (
    ops.Negative,
    ops.Absolute,
    ops.Sign,
    ops.Exp,
    ops.Log,
    ops.Log1p,
    ops.Expm1,
    ops.Sqrt,
    ops.Rsqrt,
    ops.Square,
    ops.Reciprocal,
    ops.Erf,
    ops.Erfc,
    ops.Floor,
    ops.Ceil,
    ops.Round,
    ops.Identity,
):
    unary_strategy(_op)


@strategy_for(ops.Cast)
@st.composite
def cast(draw: st.DrawFn) -> OpCase:
    """Between floats, integers and bools; including NaN and floats outside of the range of integers."""
    source = draw(st.sampled_from(["float32", "float64", *_WHOLE, "bool"]))
    target = draw(st.sampled_from(["float32", "float64", *_WHOLE, "bool"]))
    if "int" in source:
        return OpCase(ops.Cast(DType(target)), (draw(whole_numbers(shapes(), source)),))
    x = draw(arrays(shapes(), source))
    if "int" in target and "float" in source and draw(st.booleans()):
        x = x * 10.0 ** draw(st.integers(1, 22))
        x.reshape(-1)[:: max(1, x.size // 3)] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 2.0**31, -(2.0**63)]))
    return OpCase(ops.Cast(DType(target)), (x.astype(source),))


@st.composite
def broadcastable(draw: st.DrawFn, count: int) -> list[tuple[int, ...]]:
    """Shapes that broadcast together: leading axes are dropped, and axes have their size or 1."""
    full = draw(shapes())
    found = []
    for _ in range(count):
        kept = full[draw(st.integers(0, len(full))) :]
        found.append(tuple(draw(st.sampled_from([1, size])) for size in kept))
    return found


def binary_strategy(op: type[Any]) -> None:
    """Register a strategy for an op of two operands that broadcast."""

    @strategy_for(op)
    @st.composite
    def draw_case(draw: st.DrawFn) -> OpCase:
        kinds = {"float": _FLOAT, "number": _NUMBER, "bool": ("bool",), "any": (*_NUMBER, "bool")}
        dtype = draw(st.sampled_from(kinds[op.accepts]))
        first, second = draw(broadcastable(2))
        if "int" in dtype:
            x1, x2 = draw(whole_numbers(first, dtype)), draw(whole_numbers(second, dtype))
            if op is ops.Power:
                x2 = x2 & np.array(np.iinfo(dtype).max, dtype)  # no negative ones
            elif op in (ops.FloorDivide, ops.Mod):
                x2 = np.where(x2 == 0, draw(st.sampled_from([1, 2])), x2).astype(dtype)
            return OpCase(op(), (x1, x2))
        low, high = (0.5, 3.0) if op is ops.Power else (-3.0, 3.0)
        x1 = draw(arrays(first, dtype, low, high))
        x2 = draw(arrays(second, dtype))
        if op is ops.Power and draw(st.booleans()):  # a negative number has only integer powers
            x1 = np.where(draw(arrays(first, "bool")), -x1, x1)
            x2 = np.round(x2).astype(x2.dtype)
        if op in (ops.Divide, ops.FloorDivide, ops.Mod):
            x1, x2 = _exact_quotients(x1), np.where(np.abs(x2) < 1, 2, x2).astype(x2.dtype)
            x2 = _exact_quotients(x2)
        return OpCase(op(), (x1, x2))


def _exact_quotients(x: Any) -> Any:
    """Round to quarters: a quotient close to an integer may be rounded to either side, and both would be right."""
    return x if x.dtype.kind != "f" else (np.round(x * 4) / 4).astype(x.dtype)


for _binary_op in (
    ops.Add,
    ops.Subtract,
    ops.Multiply,
    ops.Divide,
    ops.FloorDivide,
    ops.Mod,
    ops.Power,
    ops.Maximum,
    ops.Minimum,
):
    binary_strategy(_binary_op)


@strategy_for(ops.Clip)
@st.composite
def clip(draw: st.DrawFn) -> OpCase:
    """Bounds that clip on both sides."""
    return OpCase(ops.Clip(-1.0, draw(st.sampled_from([0.5, 1.0]))), (draw(arrays(shapes())),))
