"""Strategies for trigonometric and hyperbolic functions."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from dagir import ops
from dagir.testing.cases import OpCase, arrays, strategy_for
from dagir.testing.elementwise import broadcastable, unary_strategy

for _op, _domain in {
    ops.Sin: (-3.0, 3.0),
    ops.Cos: (-3.0, 3.0),
    ops.Tan: (-1.2, 1.2),
    ops.Arcsin: (-0.95, 0.95),
    ops.Arccos: (-0.95, 0.95),
    ops.Arctan: (-30.0, 30.0),
    ops.Sinh: (-3.0, 3.0),
    ops.Cosh: (-3.0, 3.0),
    ops.Arcsinh: (-3.0, 3.0),
    ops.Arccosh: (1.1, 30.0),
    ops.Arctanh: (-0.9, 0.9),
}.items():
    unary_strategy(_op, _domain)


@strategy_for(ops.Arctan2)
@st.composite
def arctan2(draw: st.DrawFn) -> OpCase:
    """All quadrants, the axes between them, and signed zeros."""
    first, second = draw(broadcastable(2))
    x1, x2 = draw(arrays(first)), draw(arrays(second))
    edges = np.array([0.0, -0.0, 1.0, -1.0], np.float32)
    for x in (x1, x2):
        if x.ndim and draw(st.booleans()):
            x.reshape(-1)[::2] = np.resize(edges, x.reshape(-1)[::2].shape)
    return OpCase(ops.Arctan2(), (x1, x2))
