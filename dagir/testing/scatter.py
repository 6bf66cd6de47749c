"""Strategies for gathering and scattering at computed indices."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from dagir import ops
from dagir.testing.cases import SIZES, OpCase, arrays, shapes, strategy_for


@strategy_for(ops.GatherElements)
@st.composite
def gather_elements(draw: st.DrawFn) -> OpCase:
    """Fewer or more indices than entries, counted from the start or from the end."""
    shape = draw(shapes(1))
    axis = draw(st.integers(0, len(shape) - 1))
    places = (*shape[:axis], draw(SIZES), *shape[axis + 1 :])
    dtype = draw(st.sampled_from(["float32", "float64", "int32", "bool"]))
    indices = draw(arrays(places, draw(st.sampled_from(["int32", "int64"])), -shape[axis], shape[axis] - 1))
    return OpCase(ops.GatherElements(axis), (draw(arrays(shape, dtype)), indices))


@strategy_for(ops.ScatterUpdate)
@st.composite
def scatter_update(draw: st.DrawFn) -> OpCase:
    """Unique indices for updates that replace elements, any indices for updates that combine with them."""
    shape = draw(shapes(1, 3, st.sampled_from([2, 3, 5])))
    depth = draw(st.integers(1, len(shape)))
    reduction = draw(st.sampled_from(["none", "add", "mul", "max", "min"]))
    total = int(np.prod(shape[:depth]))
    unique = draw(st.permutations(range(total)))[: draw(st.integers(1, total))]
    flat = unique if reduction == "none" else [place % 2 for place in unique]
    indices = np.stack(np.unravel_index(np.array(flat), shape[:depth]), axis=-1).astype("int32")
    dtype = draw(st.sampled_from(["float32", "float32", "int32", "int64"]))
    low = 0.5 if reduction == "add" else -2  # where terms cancel, the error is relative to the largest term
    updates = draw(arrays((len(flat), *shape[depth:]), dtype, low, 2))
    return OpCase(ops.ScatterUpdate(reduction), (draw(arrays(shape, dtype, low)), indices, updates))
