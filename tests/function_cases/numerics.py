"""Elementwise functions that are composed of others."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from dagir import testing
from function_cases.table import binary, function, unary

unary("abs", dtypes=("float32", "int32"))
unary("fabs", "exp2", "cbrt")
unary("trunc", low=-30, high=30)
unary("log2", "log10", low=0.1, high=50)
binary("logaddexp", "logaddexp2", low=-30, high=30)
binary("true_divide", second=(0.5, 3))
binary("fmod", low=-9, high=9, second=(1, 4), dtypes=("int32", "int64"))


def specials(draw: Any, *values: float) -> Any:
    """An array in which some elements are NaN, infinite, or zeros of both signs."""
    x = draw(testing.arrays(testing.shapes(1)))
    flat = x.reshape(-1)[::2]
    flat[:] = np.where(np.arange(flat.size) % 3 < 2, np.resize(np.array(values, x.dtype), flat.shape), flat)
    return x


@function("fmax", "fmin")
def ignoring_nan(draw: Any) -> Any:
    x = specials(draw, np.nan, np.inf)
    return (x, draw(testing.arrays(x.shape))), {}


@function("divide_no_nan")
def divide_no_nan(draw: Any) -> Any:
    x = draw(testing.arrays(testing.shapes(1)))
    return (x, np.round(draw(testing.arrays(x.shape)))), {}


@function("heaviside", judge=np.heaviside)
def heaviside(draw: Any) -> Any:
    x = specials(draw, 0.0, np.nan, -0.0)
    return (x, draw(testing.arrays(x.shape))), {}


@function("ldexp")
def ldexp(draw: Any) -> Any:
    first, second = draw(testing.elementwise.broadcastable(2))
    return (draw(testing.arrays(first)), draw(testing.arrays(second, "int32", -5, 5))), {}


@function("nan_to_num")
def nan_to_num(draw: Any) -> Any:
    x = specials(draw, np.nan, np.inf, -np.inf)
    return (x,), draw(st.sampled_from([{}, {"nan": 2.0}, {"nan": -1.0, "posinf": 9.0, "neginf": -8.0}]))


@function("saturate_cast")
def saturate_cast(draw: Any) -> Any:
    source = draw(st.sampled_from(["float32", "int32"]))
    wide = ["float16", "int32", "float32"] if source == "float32" else []  # where Keras itself overflows
    target = draw(st.sampled_from(["int8", "uint8", *wide]))
    return (draw(testing.arrays(testing.shapes(), source, -70000, 70000)), target), {}
