"""Strategies for resizing."""

from __future__ import annotations

from hypothesis import strategies as st

from dagir import ops
from dagir.testing.cases import OpCase, arrays, shapes, strategy_for


@strategy_for(ops.UpSample)
@st.composite
def upsample(draw: st.DrawFn) -> OpCase:
    """Factors including 1; bilinear only for two axes of floats."""
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


@strategy_for(ops.Resize)
@st.composite
def resize(draw: st.DrawFn) -> OpCase:
    """Larger and smaller sizes; integers only with nearest."""
    interpolation = draw(st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"]))
    dtypes = ["float32", "float64", "int32", "uint8"] if interpolation == "nearest" else ["float32"]
    data_format = draw(st.sampled_from(["channels_last", "channels_first"]))
    height, width = (draw(st.integers(1, 9)) for _ in range(2))
    size = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    batch, channels = draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 2]))
    shape = (batch, height, width, channels) if data_format == "channels_last" else (batch, channels, height, width)
    x = draw(arrays(shape, draw(st.sampled_from(dtypes)), low=0 if dtypes[1:] else -3))
    return OpCase(ops.Resize(size, interpolation, draw(st.booleans()), data_format), (x,))


@strategy_for(ops.Window)
@st.composite
def window(draw: st.DrawFn) -> OpCase:
    """Parts of some axes, including empty ones."""
    shape = draw(shapes(1, 4))
    axes = tuple(sorted(draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))))
    starts = tuple(draw(st.integers(0, shape[axis])) for axis in axes)
    sizes = tuple(draw(st.integers(0, shape[axis] - start)) for axis, start in zip(axes, starts, strict=True))
    x = draw(arrays(shape, draw(st.sampled_from(["float32", "float64", "int32", "int64", "bool"]))))
    return OpCase(ops.Window(axes, starts, sizes), (x,))
