"""Strategies for running sums and products."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from dagir import ops
from dagir.testing.cases import OpCase, arrays, shapes, strategy_for


def _running(op: type[Any], low: float) -> None:
    @strategy_for(op)
    @st.composite
    def draw_case(draw: st.DrawFn) -> OpCase:
        shape = draw(shapes(1))
        dtype = draw(st.sampled_from(["float32", "float32", "float64", "int32", "int64", "int8", "uint8"]))
        x = draw(arrays(shape, dtype, 0 if dtype == "uint8" else low, 3))
        options = {"exclusive": draw(st.booleans())} if op is ops.CumSum else {}
        return OpCase(op(draw(st.integers(0, len(shape) - 1)), **options), (x,))


_running(ops.CumSum, -1)  # where terms cancel, the error is relative to the largest term
_running(ops.CumProd, -3)
