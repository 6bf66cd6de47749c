"""Strategies for reductions."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from dagir import ops
from dagir.testing.cases import OpCase, arrays, shapes, strategy_for

_DTYPES = {
    "float": ("float32",),
    "number": ("float32", "float32", "float64", "int32", "int64", "int16", "int8"),
    "bool": ("bool",),
}


def _reduction(op: type[Any]) -> None:
    @strategy_for(op)
    @st.composite
    def draw_case(draw: st.DrawFn) -> OpCase:
        shape = draw(shapes())
        axes = draw(st.sets(st.sampled_from(range(len(shape))))) if shape else set()
        low = -1.0 if op is ops.ReduceSum else -3.0  # a sum that cancels out is as far off as its largest parts
        x = draw(arrays(shape, draw(st.sampled_from(_DTYPES[op.accepts])), low))
        return OpCase(op(tuple(sorted(axes)), draw(st.booleans())), (x,))


for _op in (
    ops.ReduceSum,
    ops.ReduceMean,
    ops.ReduceMax,
    ops.ReduceMin,
    ops.ReduceProd,
    ops.ReduceAny,
    ops.ReduceAll,
    ops.ReduceLogSumExp,
    ops.Variance,
):
    _reduction(_op)


def _place(op: type[Any]) -> None:
    @strategy_for(op)
    @st.composite
    def draw_case(draw: st.DrawFn) -> OpCase:
        shape = draw(shapes(1))
        x = draw(arrays(shape, draw(st.sampled_from(_DTYPES["number"]))))
        return OpCase(op(draw(st.integers(0, len(shape) - 1)), draw(st.booleans())), (x,))


for _place_op in (ops.ArgMax, ops.ArgMin):
    _place(_place_op)
