"""Strategies for pooling."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from dagir import ops
from dagir.testing.cases import OpCase, arrays, strategy_for


def _pool(op: type[Any]) -> None:
    @strategy_for(op)
    @st.composite
    def draw_case(draw: st.DrawFn) -> OpCase:
        rank = draw(st.integers(1, 3))
        padding: Any = draw(st.sampled_from(["valid", "same", "explicit"]))
        data_format = draw(st.sampled_from(["channels_last", "channels_first"]))
        window = tuple(draw(st.integers(1, 3)) for _ in range(rank))
        # TensorFlow's pools over three axes start at another element if the strides exceed the window, with "same"
        strides = tuple(draw(st.integers(1, 3 if rank < 3 else size)) for size in window)
        least = [1 if padding == "same" else size for size in window]
        if padding == "explicit":
            padding = tuple((draw(st.integers(0, size - 1)), draw(st.integers(0, size - 1))) for size in window)
        spatial = tuple(draw(st.integers(low, 7 if rank < 3 else 5)) for low in least)
        batch, channels = draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 2, 5]))
        shape = (batch, *spatial, channels) if data_format == "channels_last" else (batch, channels, *spatial)
        dtype = draw(st.sampled_from(["float32", "float32", "float64"])) if rank < 3 else "float32"
        return OpCase(op(window, strides, padding, data_format), (draw(arrays(shape, dtype)),))


for _op in (ops.MaxPool, ops.AveragePool):
    _pool(_op)


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
