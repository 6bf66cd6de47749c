"""Strategies for pooling."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from dagir import ops
from dagir.testing.cases import OpCase, arrays, strategy_for


@st.composite
def _windows(draw: st.DrawFn, rank: int) -> tuple[Any, ...]:
    """Window, strides, padding, dilations, ceil_mode, and sizes of x that leave a window."""
    padding: Any = draw(st.sampled_from(["valid", "same", "same_lower", "explicit"]))
    window = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    # TensorFlow's pools over three axes start at another element if the strides exceed the window, with "same"
    strides = tuple(draw(st.integers(1, 3 if rank < 3 else size)) for size in window)
    dilations = tuple(draw(st.integers(1, 2)) for _ in window) if draw(st.booleans()) else None
    extents = [(size - 1) * step + 1 for size, step in zip(window, dilations or (1,) * rank, strict=True)]
    steps = dilations or (1,) * rank  # a window that is all padding has no largest element
    least = [step if "same" in padding else size for size, step in zip(extents, steps, strict=True)]
    if padding == "explicit":
        padding = tuple((draw(st.integers(0, size - 1)), draw(st.integers(0, size - 1))) for size in window)
    spatial = tuple(draw(st.integers(low, low + (6 if rank < 3 else 3))) for low in least)
    return window, strides, padding, dilations, draw(st.booleans()) and "same" not in padding, spatial


def _pool(op: type[Any], **options: st.SearchStrategy[Any]) -> None:
    @strategy_for(op)
    @st.composite
    def draw_case(draw: st.DrawFn) -> OpCase:
        rank = draw(st.integers(1, 3))
        data_format = draw(st.sampled_from(["channels_last", "channels_first"]))
        window, strides, padding, dilations, ceil_mode, spatial = draw(_windows(rank))
        batch, channels = draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 2, 5]))
        shape = (batch, *spatial, channels) if data_format == "channels_last" else (batch, channels, *spatial)
        dtype = draw(st.sampled_from(["float32", "float32", "float64"])) if rank < 3 else "float32"
        if op is ops.MaxPool and draw(st.booleans()):
            dtype = draw(st.sampled_from(["int8", "uint8"]))
        more = {name: draw(each) for name, each in options.items()}
        made = op(window, strides, padding, data_format, dilations, ceil_mode, **more)
        return OpCase(made, (draw(arrays(shape, dtype, 0 if dtype == "uint8" else -3)),))


_pool(ops.MaxPool)
_pool(ops.AveragePool, count_include_pad=st.booleans())
_pool(ops.LpPool, p=st.integers(1, 3))


@strategy_for(ops.MaxPoolWithIndices)
@st.composite
def max_pool_with_indices(draw: st.DrawFn) -> OpCase:
    """Whole numbers, among which several are the largest; both orders of places."""
    rank = draw(st.integers(1, 3))
    window, strides, padding, dilations, ceil_mode, spatial = draw(_windows(rank))
    x = draw(arrays((draw(st.integers(1, 2)), draw(st.integers(1, 3)), *spatial), "int32", -4, 4))
    dtype = draw(st.sampled_from(["float32", "float32", "int8"]))
    op = ops.MaxPoolWithIndices(window, strides, padding, dilations, ceil_mode, draw(st.booleans()))
    return OpCase(op, (x.astype(dtype),))


def _adaptive(op: type[Any]) -> None:
    @strategy_for(op)
    @st.composite
    def draw_case(draw: st.DrawFn) -> OpCase:
        rank = draw(st.integers(1, 3))
        data_format = draw(st.sampled_from(["channels_last", "channels_first"]))
        spatial, number = (tuple(draw(st.integers(1, 7)) for _ in range(rank)) for _ in range(2))
        if draw(st.booleans()):  # all windows have the same length
            spatial = tuple(size * draw(st.integers(1, 3)) for size in number)
        batch, channels = draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 2]))
        shape = (batch, *spatial, channels) if data_format == "channels_last" else (batch, channels, *spatial)
        return OpCase(op(number, data_format), (draw(arrays(shape)),))


for _each in (ops.AdaptiveMaxPool, ops.AdaptiveAveragePool):
    _adaptive(_each)
