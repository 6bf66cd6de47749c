"""Strategies for Fourier transforms."""

from __future__ import annotations

from hypothesis import strategies as st

from dagir import ops
from dagir.testing.cases import OpCase, arrays, shapes, strategy_for

_SIZES = st.sampled_from([1, 2, 3, 4, 7, 8, 12, 13, 16, 60, 128, 1026, 2048])


@strategy_for(ops.Dft)
@st.composite
def dft(draw: st.DrawFn) -> OpCase:
    """Sizes that are powers of two, products and primes, over any number of leading axes."""
    shape = (*draw(shapes(0, 3)), draw(_SIZES))
    dtype = draw(st.sampled_from(["float32", "float32", "float64", "float16"]))
    return OpCase(ops.Dft(), (draw(arrays(shape, dtype)), draw(arrays(shape, dtype))))
