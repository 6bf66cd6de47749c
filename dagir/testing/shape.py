"""Strategies for ops that move elements."""

from __future__ import annotations

from math import prod

from hypothesis import strategies as st

from dagir import ops
from dagir.testing.cases import SIZES, OpCase, arrays, shapes, strategy_for

_DTYPES = st.sampled_from(["float32", "float32", "float64", "int32", "int64", "bool"])


@strategy_for(ops.Reshape)
@st.composite
def reshape(draw: st.DrawFn) -> OpCase:
    """Sizes in another order, neighbours merged, a 1 inserted, and sometimes one size given as -1."""
    shape = draw(shapes())
    target = list(draw(st.permutations(shape)))
    if len(target) > 1 and draw(st.booleans()):
        target[:2] = [prod(target[:2])]
    target.insert(draw(st.integers(0, len(target))), 1)
    if draw(st.booleans()):
        target[draw(st.integers(0, len(target) - 1))] = -1
    return OpCase(ops.Reshape(tuple(target)), (draw(arrays(shape, draw(_DTYPES))),))


@strategy_for(ops.Transpose)
@st.composite
def transpose(draw: st.DrawFn) -> OpCase:
    """Any order of the axes."""
    shape = draw(shapes())
    axes = draw(st.permutations(range(len(shape))))
    return OpCase(ops.Transpose(tuple(axes)), (draw(arrays(shape, draw(_DTYPES))),))


@strategy_for(ops.ExpandDims)
@st.composite
def expand_dims(draw: st.DrawFn) -> OpCase:
    """At every position, including both ends."""
    shape = draw(shapes())
    return OpCase(ops.ExpandDims(draw(st.integers(0, len(shape)))), (draw(arrays(shape, draw(_DTYPES))),))


@strategy_for(ops.Squeeze)
@st.composite
def squeeze(draw: st.DrawFn) -> OpCase:
    """Some of the axes of size 1, or none."""
    shape = draw(shapes(sizes=st.sampled_from([1, 1, 3])))
    ones = [axis for axis, size in enumerate(shape) if size == 1]
    axes = sorted(draw(st.sets(st.sampled_from(ones)))) if ones else []
    return OpCase(ops.Squeeze(tuple(axes)), (draw(arrays(shape, draw(_DTYPES))),))


@strategy_for(ops.BroadcastTo)
@st.composite
def broadcast_to(draw: st.DrawFn) -> OpCase:
    """New axes in front, and axes of size 1 repeated."""
    target = draw(shapes())
    shape = tuple(draw(st.sampled_from([1, size])) for size in target[draw(st.integers(0, len(target))) :])
    return OpCase(ops.BroadcastTo(target), (draw(arrays(shape, draw(_DTYPES))),))


@strategy_for(ops.Concatenate)
@st.composite
def concatenate(draw: st.DrawFn) -> OpCase:
    """One to four values, with different sizes along the axis."""
    shape = list(draw(shapes(1)))
    axis, dtype = draw(st.integers(0, len(shape) - 1)), draw(_DTYPES)
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        shape[axis] = draw(SIZES)
        parts.append(draw(arrays(tuple(shape), dtype)))
    return OpCase(ops.Concatenate(axis), tuple(parts))


@strategy_for(ops.Pad)
@st.composite
def pad(draw: st.DrawFn) -> OpCase:
    """Every mode; in constant mode also negative pads, which crop."""
    mode = draw(st.sampled_from(["constant", "constant", "reflect", "symmetric", "edge"]))
    shape = draw(shapes(1, 4, st.sampled_from([2, 3, 5])))
    low, high = (0, 1) if mode in ("reflect", "symmetric") else (0, 3)
    if mode == "constant":
        low = -1
    pads = tuple((draw(st.integers(low, high)), draw(st.integers(min(low, 0), high))) for _ in shape)
    pads = tuple(
        (before, after if size + before + after > 0 else 0) for size, (before, after) in zip(shape, pads, strict=True)
    )
    value = draw(st.sampled_from([0.0, -2.5])) if mode == "constant" else 0.0
    dtype = draw(st.sampled_from(["float32", "float64", "int32"] if value == 0 else ["float32"]))
    return OpCase(ops.Pad(pads, mode, value), (draw(arrays(shape, dtype)),))


@strategy_for(ops.Slice)
@st.composite
def slice_axes(draw: st.DrawFn) -> OpCase:
    """Bounds inside and outside of the axis, negative bounds and steps, including empty results."""
    shape = draw(shapes(1))
    axes = sorted(draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
    bound = st.integers(-9, 9)
    starts = tuple(draw(bound) for _ in axes)
    stops = tuple(draw(st.none() | bound) for _ in axes)
    steps = tuple(draw(st.sampled_from([1, 2, 3, -1, -2])) for _ in axes)
    return OpCase(ops.Slice(tuple(axes), starts, stops, steps), (draw(arrays(shape, draw(_DTYPES))),))


@strategy_for(ops.Tile)
@st.composite
def tile(draw: st.DrawFn) -> OpCase:
    """One to three repeats of each axis."""
    shape = draw(shapes())
    repeats = tuple(draw(st.integers(1, 3)) for _ in shape)
    return OpCase(ops.Tile(repeats), (draw(arrays(shape, draw(_DTYPES))),))


@strategy_for(ops.Gather)
@st.composite
def gather(draw: st.DrawFn) -> OpCase:
    """Indices of any rank, counted from the start or from the end."""
    shape = draw(shapes(1))
    axis = draw(st.integers(0, len(shape) - 1))
    indices = draw(arrays(shapes(0, 2), draw(st.sampled_from(["int32", "int64"])), -shape[axis], shape[axis] - 1))
    return OpCase(ops.Gather(axis), (draw(arrays(shape, draw(_DTYPES))), indices))
