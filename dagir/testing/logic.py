"""Strategies for comparison and logic."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from dagir import ops
from dagir.testing.cases import OpCase, arrays, shapes, strategy_for
from dagir.testing.elementwise import binary_strategy, broadcastable, unary_strategy

unary_strategy(ops.LogicalNot)

for _op in (
    ops.Equal,
    ops.NotEqual,
    ops.Less,
    ops.LessEqual,
    ops.Greater,
    ops.GreaterEqual,
    ops.LogicalAnd,
    ops.LogicalOr,
    ops.LogicalXor,
):
    binary_strategy(_op)


@strategy_for(ops.IsNan)
@st.composite
def is_nan(draw: st.DrawFn) -> OpCase:
    """Some elements are NaN."""
    x = draw(arrays(shapes(1)))
    x.reshape(-1)[::3] = np.nan
    return OpCase(ops.IsNan(), (x,))


@strategy_for(ops.Where)
@st.composite
def where(draw: st.DrawFn) -> OpCase:
    """Condition and branches broadcast, of any dtype."""
    condition, first, second = draw(broadcastable(3))
    dtype = draw(st.sampled_from(("float32", "bool", "int32", "int8", "uint16", "uint32")))
    return OpCase(
        ops.Where(), (draw(arrays(condition, "bool")), draw(arrays(first, dtype)), draw(arrays(second, dtype)))
    )
