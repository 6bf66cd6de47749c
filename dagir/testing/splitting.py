"""Strategies for ops that take values apart."""

from __future__ import annotations

from hypothesis import strategies as st

from dagir import ops
from dagir.testing.cases import OpCase, arrays, shapes, strategy_for


@strategy_for(ops.Split)
@st.composite
def split(draw: st.DrawFn) -> OpCase:
    """One to four parts, some of them without elements."""
    sizes = draw(st.lists(st.integers(0, 3), min_size=1, max_size=4).filter(any))
    shape = list(draw(shapes(1)))
    axis = draw(st.integers(0, len(shape) - 1))
    shape[axis] = sum(sizes)
    dtype = draw(st.sampled_from(["float32", "float64", "int32", "int64", "bool"]))
    return OpCase(ops.Split(axis, tuple(sizes)), (draw(arrays(tuple(shape), dtype)),))
