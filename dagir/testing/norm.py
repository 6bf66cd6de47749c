"""Strategies for normalizations."""

from __future__ import annotations

from hypothesis import strategies as st

from dagir import ops
from dagir.ir.types import Array
from dagir.testing.cases import OpCase, arrays, shapes, strategy_for

_EPSILON = st.sampled_from([1e-2, 0.1])  # if elements are nearly equal, a smaller one amplifies rounding


@st.composite
def _optional(draw: st.DrawFn, shape: tuple[int, ...]) -> Array | None:
    return draw(st.none() | arrays(shape, low=-2.0, high=2.0))


@strategy_for(ops.BatchNorm)
@st.composite
def batch_norm(draw: st.DrawFn) -> OpCase:
    """Any axis; means far from 0 and variances far from 1; vectors as weights or as inputs."""
    shape = draw(shapes(1, 5))
    axis = draw(st.integers(0, len(shape) - 1))
    vector = (shape[axis],)
    op = ops.BatchNorm(axis, draw(st.sampled_from([1e-3, 1e-5, 0.1])))
    operands = (draw(arrays(shape)), draw(_optional(vector)), draw(_optional(vector)), draw(arrays(vector)))
    weights = draw(st.sampled_from([frozenset({1, 2, 3, 4}), frozenset[int]()]))
    return OpCase(op, (*operands, draw(arrays(vector, low=0.2, high=3.0))), weights)


@strategy_for(ops.LayerNorm)
@st.composite
def layer_norm(draw: st.DrawFn) -> OpCase:
    """Last axes and others; gamma and beta given or not, as weights or as inputs."""
    shape = draw(shapes(1, 4))
    axes = tuple(sorted(draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))))
    vector = tuple(shape[axis] for axis in axes)
    op = ops.LayerNorm(axes, draw(_EPSILON))
    operands = (draw(arrays(shape)), draw(_optional(vector)), draw(_optional(vector)))
    return OpCase(op, operands, draw(st.sampled_from([frozenset({1, 2}), frozenset[int]()])))


@strategy_for(ops.GroupNorm)
@st.composite
def group_norm(draw: st.DrawFn) -> OpCase:
    """Any axis but the batch; one group, a group for each channel, and numbers in between."""
    groups, each = draw(st.sampled_from([1, 2, 3])), draw(st.sampled_from([1, 2, 3]))
    before, after = draw(shapes(1, 2)), draw(shapes(0, 2))
    vector = (groups * each,)
    op = ops.GroupNorm(groups, len(before), draw(_EPSILON))
    operands = (draw(arrays((*before, *vector, *after))), draw(_optional(vector)), draw(_optional(vector)))
    return OpCase(op, operands, draw(st.sampled_from([frozenset({1, 2}), frozenset[int]()])))


@strategy_for(ops.RMSNorm)
@st.composite
def rms_norm(draw: st.DrawFn) -> OpCase:
    """Last axes and others."""
    shape = draw(shapes(1, 4))
    axes = tuple(sorted(draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))))
    vector = tuple(shape[axis] for axis in axes)
    op = ops.RMSNorm(axes, draw(_EPSILON))
    weights = draw(st.sampled_from([frozenset({1}), frozenset[int]()]))
    return OpCase(op, (draw(arrays(shape)), draw(_optional(vector))), weights)
