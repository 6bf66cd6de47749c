"""Strategies for sampling at places that the data give."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from dagir import ops
from dagir.testing.cases import OpCase, arrays, strategy_for

_FORMATS = st.sampled_from(["channels_last", "channels_first"])


def _laid(shape: tuple[int, ...], data_format: str) -> tuple[int, ...]:
    return shape if data_format == "channels_last" else (shape[0], shape[-1], *shape[1:-1])


@strategy_for(ops.GridSample)
@st.composite
def grid_sample(draw: st.DrawFn) -> OpCase:
    """One to three axes, places inside and far outside. Cubic of three axes, which onnxruntime has not, is not drawn.

    Places of mode nearest are multiples of 1/8 and sizes powers of two: a rounding would turn to another element.
    """
    rank = draw(st.integers(1, 3))
    mode = draw(st.sampled_from(["nearest", "linear", "cubic"] if rank < 3 else ["nearest", "linear"]))
    data_format = draw(_FORMATS)
    align = mode != "nearest" and draw(st.booleans())
    size = st.sampled_from([1, 2, 4] if mode == "nearest" else [1, 2, 3, 5])
    batch, channels = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    x = draw(arrays(_laid((batch, *(draw(size) for _ in range(rank)), channels), data_format)))
    places = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    grid = draw(arrays((batch, *places, rank), low=-2.5, high=2.5))
    grid = np.round(grid * 8) / np.float32(8) if mode == "nearest" else grid
    padding = draw(st.sampled_from(["zeros", "border", "reflection"]))
    return OpCase(ops.GridSample(mode, padding, align, data_format), (x, grid.astype("float32")))


@strategy_for(ops.DeformConv)
@st.composite
def deform_conv(draw: st.DrawFn) -> OpCase:
    """Groups of channels and of offsets, with and without a bias and a mask."""
    data_format = draw(_FORMATS)
    window, strides, dilations = (tuple(draw(st.integers(1, 2)) for _ in range(2)) for _ in range(3))
    groups, apart, batch = (draw(st.integers(1, 2)) for _ in range(3))
    inner, out = 2 * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    padding = tuple((draw(st.integers(0, 1)), draw(st.integers(0, 1))) for _ in range(2))
    sizes = tuple(draw(st.integers(3, 5)) for _ in range(2))
    op = ops.DeformConv(strides, padding, dilations, groups, apart, data_format)  # type: ignore[arg-type]  # pairs
    x = draw(arrays(_laid((batch, *sizes, inner * groups), data_format)))
    w = draw(arrays((*window, inner, out)))
    points = apart * window[0] * window[1]
    places = op.places(sizes, list(window))
    offset = draw(arrays((batch, 2 * points, *places)))
    b = draw(arrays((out,))) if draw(st.booleans()) else None
    mask = draw(arrays((batch, points, *places))) if draw(st.booleans()) else None
    return OpCase(op, (x, w, offset, b, mask), frozenset([1, 3] if b is not None else [1]))
