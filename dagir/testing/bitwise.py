"""Strategies for operations on bits."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from dagir import ops
from dagir.testing.cases import OpCase, shapes, strategy_for, whole_numbers
from dagir.testing.elementwise import broadcastable

_DTYPES = st.sampled_from(["int32", "int64", "int16", "int8", "uint8", "uint16", "uint32"])


@strategy_for(ops.BitwiseNot)
@st.composite
def bitwise_not(draw: st.DrawFn) -> OpCase:
    """Signed and unsigned, of every width."""
    dtype = draw(_DTYPES)
    return OpCase(ops.BitwiseNot(), (draw(whole_numbers(shapes(), dtype, -120, 200)),))


def _two(op: type[Any]) -> None:
    @strategy_for(op)
    @st.composite
    def draw_case(draw: st.DrawFn) -> OpCase:
        dtype = draw(_DTYPES)
        first, second = draw(broadcastable(2))
        amounts = (-3, 100) if op in (ops.LeftShift, ops.RightShift) else (-120, 200)
        x1, x2 = draw(whole_numbers(first, dtype, -120, 200)), draw(whole_numbers(second, dtype, *amounts))
        return OpCase(op(), (x1, x2))


for _op in (ops.BitwiseAnd, ops.BitwiseOr, ops.BitwiseXor, ops.LeftShift, ops.RightShift):
    _two(_op)
