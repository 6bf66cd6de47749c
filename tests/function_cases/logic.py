"""Comparison and logic."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from dagir import testing
from function_cases.numerics import specials
from function_cases.table import binary, function, unary

unary("logical_not", dtypes=("bool",))
binary("logical_and", "logical_or", "logical_xor", dtypes=("bool",))
binary("equal", "not_equal", dtypes=("float32", "int32", "bool"))
binary("less", "less_equal", "greater", "greater_equal", dtypes=("float32", "int32"))


@function("isnan", "isinf", "isposinf", "isneginf", "isfinite")
def classified(draw: Any) -> Any:
    return (specials(draw, np.nan, np.inf, -np.inf),), {}


@function("signbit", judge=np.signbit)
def signbit(draw: Any) -> Any:
    return (specials(draw, 0.0, -0.0, -np.inf),), {}


@function("isclose", judge=np.isclose)
def isclose(draw: Any) -> Any:
    x = specials(draw, np.nan, np.inf, 1.0)
    near = x + draw(st.sampled_from([0.0, 1e-3, 0.1])) * draw(testing.arrays(x.shape))
    options = draw(st.sampled_from([{}, {"rtol": 1e-2}, {"atol": 0.05, "equal_nan": True}]))
    return (x, near.astype(x.dtype)), options


@function("where")
def where(draw: Any) -> Any:
    condition, first, second = draw(testing.elementwise.broadcastable(3))
    x1 = draw(testing.arrays(first))
    return (draw(testing.arrays(condition, "bool")), x1, draw(st.sampled_from([2.5, draw(testing.arrays(second))]))), {}
