"""Strategies for reductions."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from dagir import ops
from dagir.ir.types import DType
from dagir.testing.cases import SIZES, OpCase, arrays, shapes, strategy_for, whole_numbers

_DTYPES = {
    "float": ("float32",),
    "number": ("float32", "float32", "float64", "int32", "int64", "int16", "int8"),
    "bool": ("bool",),
}


_OF_NOTHING = (ops.ReduceSum, ops.ReduceProd, ops.ReduceAny, ops.ReduceAll, ops.ReduceLogSumExp)
_WITH_NONE = st.sampled_from([1, 2, 3, 5, 7, 0])


def _reduction(op: type[Any]) -> None:
    @strategy_for(op)
    @st.composite
    def draw_case(draw: st.DrawFn) -> OpCase:
        shape = draw(shapes(sizes=_WITH_NONE if op in _OF_NOTHING else SIZES))
        axes = draw(st.sets(st.sampled_from(range(len(shape))))) if shape else set()
        low = -1.0 if op is ops.ReduceSum else -3.0  # where terms cancel, the error is relative to the largest term
        dtype = draw(st.sampled_from(_DTYPES[op.accepts]))
        x = draw(whole_numbers(shape, dtype)) if "int" in dtype else draw(arrays(shape, dtype, low))
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
        dtype = draw(st.sampled_from(_DTYPES["number"]))
        x = draw(whole_numbers(shape, dtype)) if "int" in dtype else draw(arrays(shape, dtype))
        last, places = draw(st.booleans()), DType(draw(st.sampled_from(["int32", "int64"])))
        return OpCase(op(draw(st.integers(0, len(shape) - 1)), draw(st.booleans()), last, places), (x,))


for _place_op in (ops.ArgMax, ops.ArgMin):
    _place(_place_op)
