"""Strategies for triangular parts of matrices."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from dagir import ops
from dagir.testing.cases import OpCase, arrays, shapes, strategy_for


def _triangle(op: type[Any]) -> None:
    @strategy_for(op)
    @st.composite
    def draw_case(draw: st.DrawFn) -> OpCase:
        """Diagonals inside and outside of the matrix."""
        dtype = draw(st.sampled_from(["float32", "float32", "float64", "int32", "int8", "bool"]))
        return OpCase(op(draw(st.integers(-4, 4))), (draw(arrays(shapes(2), dtype)),))


for _op in (ops.Tril, ops.Triu):
    _triangle(_op)
