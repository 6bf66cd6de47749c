"""Strategies for sorting and searching."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from dagir import ops
from dagir.ir.types import DType
from dagir.testing.cases import SIZES, OpCase, arrays, shapes, strategy_for

_DTYPES = st.sampled_from(["float32", "float32", "float64", "int32", "int64", "int8", "uint16"])


def _low(dtype: str) -> float:
    return 0 if dtype.startswith("u") else -3


def _sorting(op: type[Any]) -> None:
    @strategy_for(op)
    @st.composite
    def draw_case(draw: st.DrawFn) -> OpCase:
        """Integers from a small range, so that some elements are equal."""
        shape, dtype = draw(shapes(1)), draw(_DTYPES)
        x = draw(arrays(shape, dtype, _low(dtype)))
        return OpCase(op(draw(st.integers(0, len(shape) - 1))), (x,))


for _op in (ops.Sort, ops.ArgSort):
    _sorting(_op)


@strategy_for(ops.TopK)
@st.composite
def top_k(draw: st.DrawFn) -> OpCase:
    """k from 1 to the number of elements, along any axis, from either end."""
    shape = (*draw(shapes(0, 3)), draw(SIZES))
    dtype = draw(_DTYPES)
    axis = draw(st.sampled_from([-1, *range(len(shape))]))
    places = DType(draw(st.sampled_from(["int32", "int64"])))
    op = ops.TopK(draw(st.integers(1, shape[axis])), axis, draw(st.booleans()), places)
    return OpCase(op, (draw(arrays(shape, dtype, _low(dtype))),))


@strategy_for(ops.SearchSorted)
@st.composite
def search_sorted(draw: st.DrawFn) -> OpCase:
    """Values that occur in the sequence, and values outside of its range."""
    dtype = draw(st.sampled_from(["float32", "float64", "int32", "int64"]))
    sequence = np.sort(draw(arrays((draw(SIZES),), dtype)))
    values = draw(arrays(shapes(), dtype, -5, 5))
    values.reshape(-1)[::2] = sequence[0]
    return OpCase(ops.SearchSorted(draw(st.sampled_from(["left", "right"]))), (sequence, values))
