"""Strategies for convolutions."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from dagir import ops
from dagir.ir.types import Array
from dagir.testing.cases import OpCase, arrays, strategy_for

_LAYOUTS = ("channels_last", "channels_first")


@st.composite
def windows(draw: st.DrawFn, rank: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """(kernel, strides, dilations) of a window over `rank` axes: odd and even sizes, larger than the stride or not."""
    largest = 3 if rank < 3 else 2
    kernel = tuple(draw(st.integers(1, largest + 1)) for _ in range(rank))
    strides = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    dilations = tuple(draw(st.integers(1, largest)) for _ in range(rank))
    return kernel, strides, dilations


def paddings(rank: int) -> st.SearchStrategy[Any]:
    """ "valid", "same", "causal" for one axis, and explicit pairs."""
    names = st.sampled_from(["valid", "same", "causal"] if rank == 1 else ["valid", "same"])
    pair = st.tuples(st.integers(0, 2), st.integers(0, 2))
    return names | st.tuples(*[pair] * rank)


@st.composite
def _input(draw: st.DrawFn, layout: str, sizes: tuple[int, ...], channels: int) -> Array:
    batch = draw(st.sampled_from([1, 3]))
    shape = (batch, *sizes, channels) if layout == "channels_last" else (batch, channels, *sizes)
    return draw(arrays(shape))


@strategy_for(ops.Conv)
@st.composite
def conv(draw: st.DrawFn) -> OpCase:
    """Groups, dilations, both layouts; the kernel fits at least once."""
    rank = draw(st.integers(1, 3))
    kernel, strides, dilations = draw(windows(rank))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    per_group, filters = draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    layout = draw(st.sampled_from(_LAYOUTS))
    op = ops.Conv(strides, draw(paddings(rank)), dilations, groups, layout)
    sizes = tuple(extent + draw(st.integers(0, 5)) for extent in op.extents(kernel))
    x = draw(_input(layout, sizes, per_group * groups))
    bias = draw(arrays((filters,))) if draw(st.booleans()) else None
    return OpCase(op, (x, draw(arrays((*kernel, per_group, filters))), bias), frozenset({1, 2}))


@strategy_for(ops.ConvTranspose)
@st.composite
def conv_transpose(draw: st.DrawFn) -> OpCase:
    """Strides or dilations, as Keras takes them; output_padding below the stride; crops that leave an element."""
    rank = draw(st.integers(1, 3))
    kernel, strides, dilations = draw(windows(rank))
    if draw(st.booleans()):
        strides = (1,) * rank
    else:
        dilations = (1,) * rank
    layout = draw(st.sampled_from(_LAYOUTS))
    padding: Any = draw(st.sampled_from(["valid", "same"]))
    extra = tuple(draw(st.integers(0, stride - 1)) for stride in strides) if draw(st.booleans()) else None
    if extra is not None and draw(st.booleans()):
        padding = tuple((draw(st.integers(0, k // 2)), draw(st.integers(0, (k - 1) // 2))) for k in kernel)
    groups = draw(st.sampled_from([1, 1, 2]))
    op = ops.ConvTranspose(strides, padding, dilations, groups, layout, extra)
    channels, filters = groups * draw(st.integers(1, 3)), draw(st.integers(1, 4))
    x = draw(_input(layout, tuple(draw(st.integers(2, 5)) for _ in range(rank)), channels))
    bias = draw(arrays((filters * groups,))) if draw(st.booleans()) else None
    return OpCase(op, (x, draw(arrays((*kernel, filters, channels))), bias), frozenset({1, 2}))
