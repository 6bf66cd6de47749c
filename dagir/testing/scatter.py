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


@strategy_for(ops.GatherND)
@st.composite
def gather_nd(draw: st.DrawFn) -> OpCase:
    """Tuples for some axes or all, behind none or some of a batch, counted from the start or from the end."""
    shape = draw(shapes(1, 4))
    batch = draw(st.integers(0, len(shape) - 1))
    depth = draw(st.integers(1, len(shape) - batch))
    places = (*shape[:batch], *draw(shapes(0, 2)))
    kind = draw(st.sampled_from(["int32", "int64"]))
    columns = [draw(arrays(places, kind, -size, size - 1)) for size in shape[batch : batch + depth]]
    dtype = draw(st.sampled_from(["float32", "float64", "int32", "bool"]))
    return OpCase(ops.GatherND(batch), (draw(arrays(shape, dtype)), np.stack(columns, axis=-1)))


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
    if draw(st.booleans()):  # counted from the end
        indices -= np.asarray(shape[:depth], "int32")
    dtype = draw(st.sampled_from(["float32", "float32", "int32", "int64"]))
    low = 0.5 if reduction == "add" else -2  # where terms cancel, the error is relative to the largest term
    updates = draw(arrays((len(flat), *shape[depth:]), dtype, low, 2))
    return OpCase(ops.ScatterUpdate(reduction), (draw(arrays(shape, dtype, low)), indices, updates))


@strategy_for(ops.ScatterElements)
@st.composite
def scatter_elements(draw: st.DrawFn) -> OpCase:
    """Different places for updates that replace elements, any for updates that combine; from the start or the end."""
    shape = draw(shapes(1, 3, st.sampled_from([2, 3, 5])))
    axis = draw(st.integers(0, len(shape) - 1))
    reduction = draw(st.sampled_from(["none", "add", "mul", "max", "min"]))
    count = draw(st.integers(1, shape[axis]))
    places = tuple(count if each == axis else draw(st.integers(1, size)) for each, size in enumerate(shape))
    rows = np.random.default_rng(draw(st.integers(0, 999))).permuted(np.tile(np.arange(shape[axis]), (64, 1)), axis=1)
    flat = rows[np.arange(np.prod(places) // count) % 64, :count] if reduction == "none" else None
    if flat is None:
        indices = draw(arrays(places, "int64", -shape[axis], shape[axis] - 1))
    else:
        moved = flat.reshape(*(size for each, size in enumerate(places) if each != axis), count)
        indices = np.moveaxis(moved, -1, axis) - draw(st.sampled_from([0, shape[axis]]))
    dtype = draw(st.sampled_from(["float32", "float32", "int32", "int64"]))
    low = 0.5 if reduction == "add" else -2  # where terms cancel, the error is relative to the largest term
    updates = draw(arrays(places, dtype, low, 2))
    kind = draw(st.sampled_from(["int32", "int64"]))
    return OpCase(
        ops.ScatterElements(axis, reduction), (draw(arrays(shape, dtype, low)), indices.astype(kind), updates)
    )
