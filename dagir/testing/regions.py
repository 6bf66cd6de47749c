"""Strategies for regions of images."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from dagir import ops
from dagir.ir.types import Array
from dagir.testing.cases import OpCase, arrays, strategy_for


@st.composite
def _operands(draw: st.DrawFn, data_format: str, whole: bool) -> tuple[Array, Array, Array]:
    """Images, regions inside and partly outside of them, and the numbers of the images.

    whole: ends are odd multiples of 1/8, off what a rounding would turn.
    """
    batch, channels = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    sizes = (draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    shape = (batch, *sizes, channels) if data_format == "channels_last" else (batch, channels, *sizes)
    count = draw(st.integers(1, 4))
    starts = draw(arrays((count, 2), low=-2, high=4))
    rois = np.concatenate([starts, starts + draw(arrays((count, 2), low=-1, high=6))], 1)
    if whole:
        rois = (np.round(rois * 4) * 2 + 1) / np.float32(8)
    return draw(arrays(shape)), rois.astype("float32"), draw(arrays((count,), "int64", 0, batch - 1))


_FORMATS = st.sampled_from(["channels_last", "channels_first"])
_SIZES = st.tuples(st.integers(1, 3), st.integers(1, 3))


@strategy_for(ops.RoiAlign)
@st.composite
def roi_align(draw: st.DrawFn) -> OpCase:
    """Means and largest, with fixed numbers of samples and those of the cells."""
    data_format = draw(_FORMATS)
    ratio, mode = draw(st.integers(0, 3)), draw(st.sampled_from(["avg", "max"]))
    op = ops.RoiAlign(draw(_SIZES), draw(st.sampled_from([1.0, 0.5])), mode, ratio, draw(st.booleans()), data_format)
    return OpCase(op, draw(_operands(data_format, ratio == 0)))


@strategy_for(ops.RoiMaxPool)
@st.composite
def roi_max_pool(draw: st.DrawFn) -> OpCase:
    """Cells that overlap, and cells that are empty."""
    data_format = draw(_FORMATS)
    op = ops.RoiMaxPool(draw(_SIZES), draw(st.sampled_from([1.0, 0.5])), data_format)
    return OpCase(op, draw(_operands(data_format, True)))
