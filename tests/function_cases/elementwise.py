"""Elementwise arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from dagir import testing
from function_cases.table import binary, function, unary

_NUMBERS = ("float32", "int32")

unary("negative", "absolute", "sign", "square", dtypes=_NUMBERS)
unary("exp", "expm1", "sin", "cos", "erf", "erfc", "floor", "ceil")
unary("tan", low=-1.2, high=1.2)
unary("log", "sqrt", "rsqrt", "reciprocal", low=0.1, high=5)
unary("log1p", low=-0.9, high=5)
binary("add", "subtract", "multiply", "maximum", "minimum", dtypes=_NUMBERS)
binary("divide", second=(0.5, 3))
binary("power", low=0.5)
binary("floor_divide", "mod", low=-9, high=9, second=(1, 4), dtypes=("int32", "int64"))


@function("round")
def rounded(draw: Any) -> Any:
    dtype = draw(st.sampled_from(["float32", "float32", "int32"]))
    x = draw(testing.arrays(testing.shapes(), dtype, -300, 300))
    if dtype == "float32":  # eighths: their products with 100 are exact, and nothing lies beside a half
        x = np.asarray(np.round(x * 8) / 8, "float32")
    return (x,), draw(st.sampled_from([{}, {"decimals": 0}, {"decimals": 2}]))


@function("identity", judge=lambda x: x)
def identity(draw: Any) -> Any:
    return (draw(testing.arrays(testing.shapes())),), {}


@function("cast")
def cast(draw: Any) -> Any:
    dtypes = st.sampled_from(["float32", "int32", "bool", "float16", "int8"])
    return (draw(testing.arrays(testing.shapes(), draw(dtypes))), draw(dtypes)), {}


@function("clip")
def clip(draw: Any) -> Any:
    dtype = draw(st.sampled_from(_NUMBERS))
    return (draw(testing.arrays(testing.shapes(), dtype)), -1, np.int64(2).item()), {}
