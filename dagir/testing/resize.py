"""Strategies for resizing."""

from __future__ import annotations

from hypothesis import strategies as st

from dagir import ops
from dagir.testing.cases import OpCase, arrays, strategy_for


@strategy_for(ops.UpSample)
@st.composite
def upsample(draw: st.DrawFn) -> OpCase:
    """Factors of 1 among them; bilinear for two axes of floats."""
    rank = draw(st.integers(1, 3))
    interpolation = draw(st.sampled_from(["nearest", "bilinear"])) if rank == 2 else "nearest"
    dtypes = ["float32"] if interpolation == "bilinear" else ["float32", "float64", "int32", "int64", "bool"]
    data_format = draw(st.sampled_from(["channels_last", "channels_first"]))
    factors = tuple(draw(st.integers(1, 4)) for _ in range(rank))
    spatial = tuple(draw(st.sampled_from([1, 2, 3, 5])) for _ in range(rank))
    batch, channels = draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 2]))
    shape = (batch, *spatial, channels) if data_format == "channels_last" else (batch, channels, *spatial)
    x = draw(arrays(shape, draw(st.sampled_from(dtypes))))
    return OpCase(ops.UpSample(factors, interpolation, data_format), (x,))
