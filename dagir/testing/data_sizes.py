"""Strategies for ops whose result has a size that the data decide."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from dagir import ops
from dagir.ir.data_sizes import fresh_size
from dagir.testing.cases import SIZES, OpCase, arrays, shapes, strategy_for

_DTYPES = st.sampled_from(["float32", "float64", "int32", "int64", "int8", "bool"])


@strategy_for(ops.NonZero)
@st.composite
def non_zero(draw: st.DrawFn) -> OpCase:
    """Some zeros, or zeros alone."""
    x = draw(arrays(shapes(1), draw(_DTYPES), -1, 1))
    return OpCase(ops.NonZero((fresh_size("n"),)), (np.zeros_like(x) if draw(st.booleans()) else x,))


@strategy_for(ops.Range)
@st.composite
def range_(draw: st.DrawFn) -> OpCase:
    """Ranges of both directions, empty ones too."""
    dtype = draw(st.sampled_from(["int32", "int64", "float32", "int16"]))
    step = draw(st.sampled_from([1, 2, 3, -1, -2]))
    numbers = draw(st.integers(-5, 5)), draw(st.integers(-9, 9)), step
    return OpCase(ops.Range((fresh_size("n"),)), tuple(np.asarray(number, dtype) for number in numbers))


@strategy_for(ops.Unique)
@st.composite
def unique(draw: st.DrawFn) -> OpCase:
    """Few different numbers, along an axis or flattened."""
    shape, dtype = draw(shapes(1, 3)), draw(_DTYPES)
    x = np.round(draw(arrays(shape, dtype, 0, 2))) if dtype.startswith("float") else draw(arrays(shape, dtype, 0, 2))
    axis = draw(st.none() | st.integers(0, len(shape) - 1))
    return OpCase(ops.Unique((fresh_size("n"),), axis, draw(st.booleans())), (x.astype(dtype),))


@strategy_for(ops.NonMaxSuppression)
@st.composite
def non_max_suppression(draw: st.DrawFn) -> OpCase:
    """Boxes on a grid, whose overlaps are far from the bound; all scores differ."""
    batch, kinds, count = draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(SIZES)
    corners = draw(arrays((batch, count, 2), "int32", 0, 4)).astype("float32")
    sides = draw(arrays((batch, count, 2), "int32", 1, 3)).astype("float32")
    center = draw(st.booleans())
    boxes = np.concatenate([corners, sides if center else corners + sides], -1)
    order = np.random.default_rng(draw(st.integers(0, 99))).permutation(batch * kinds * count)
    scores = (order.reshape(batch, kinds, count) / order.size).astype("float32")
    least = draw(st.none() | st.just(np.asarray(0.3001, "float32")))
    bounds = (
        np.asarray(draw(st.integers(0, 4)), np.int64),
        np.asarray(draw(st.sampled_from([0.0, 0.313, 0.61])), "float32"),
    )
    return OpCase(ops.NonMaxSuppression((fresh_size("n"),), center), (boxes, scores, *bounds, least))


@strategy_for(ops.KnowSizes)
@st.composite
def know_sizes(draw: st.DrawFn) -> OpCase:
    """One or two witnesses."""
    given = [draw(arrays(shapes(), "float32")) for _ in range(draw(st.integers(2, 3)))]
    return OpCase(ops.KnowSizes(), tuple(given))


@strategy_for(ops.EqualSizes)
@st.composite
def equal_sizes(draw: st.DrawFn) -> OpCase:
    """Sizes that are equal."""
    sizes = tuple(draw(st.lists(st.integers(0, 5), max_size=3)))
    return OpCase(ops.EqualSizes(sizes, sizes), (draw(arrays(shapes(), "float32")),))
