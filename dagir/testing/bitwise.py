"""Strategies for operations on bits."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from dagir import ops
from dagir.testing.cases import OpCase, arrays, shapes, strategy_for
from dagir.testing.elementwise import broadcastable

_DTYPES = st.sampled_from(["int32", "int64", "int16", "int8", "uint8", "uint16", "uint32"])


def _bounds(dtype: str) -> tuple[float, float]:
    return (0, 200) if dtype.startswith("u") else (-120, 120)


@strategy_for(ops.BitwiseNot)
@st.composite
def bitwise_not(draw: st.DrawFn) -> OpCase:
    """Signed and unsigned, of every width."""
    dtype = draw(_DTYPES)
    return OpCase(ops.BitwiseNot(), (draw(arrays(shapes(), dtype, *_bounds(dtype))),))


def _two(op: type[Any]) -> None:
    @strategy_for(op)
    @st.composite
    def draw_case(draw: st.DrawFn) -> OpCase:
        dtype = draw(_DTYPES)
        first, second = draw(broadcastable(2))
        amounts = (0, 7) if op in (ops.LeftShift, ops.RightShift) else _bounds(dtype)
        return OpCase(op(), (draw(arrays(first, dtype, *_bounds(dtype))), draw(arrays(second, dtype, *amounts))))


for _op in (ops.BitwiseAnd, ops.BitwiseOr, ops.BitwiseXor, ops.LeftShift, ops.RightShift):
    _two(_op)
