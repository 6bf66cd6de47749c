"""Fourier transforms."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from dagir import testing
from function_cases.table import function


@function("fft")
def fft(draw: Any) -> Any:
    shape = (*draw(testing.shapes(0, 2)), draw(st.sampled_from([1, 2, 5, 8, 12, 17])))
    return ((draw(testing.arrays(shape)), draw(testing.arrays(shape))),), {}
