"""Strategies for ops that are random in training and the identity at inference."""

from __future__ import annotations

from hypothesis import strategies as st

from dagir import ops
from dagir.testing.cases import OpCase, arrays, shapes, strategy_for

_RATES = st.sampled_from([0.0, 0.3, 1.0])


@strategy_for(ops.Dropout)
@st.composite
def dropout(draw: st.DrawFn) -> OpCase:
    """With and without a noise shape."""
    x = draw(arrays(shapes(1)))
    together = tuple(draw(st.sampled_from([None, 1])) for _ in x.shape)
    return OpCase(
        ops.Dropout(draw(_RATES), draw(st.sampled_from([None, together])), draw(st.none() | st.just(7))), (x,)
    )


@strategy_for(ops.AlphaDropout)
@st.composite
def alpha_dropout(draw: st.DrawFn) -> OpCase:
    """Any rate."""
    return OpCase(ops.AlphaDropout(draw(_RATES)), (draw(arrays(shapes())),))


@strategy_for(ops.GaussianDropout)
@st.composite
def gaussian_dropout(draw: st.DrawFn) -> OpCase:
    """Any rate."""
    return OpCase(ops.GaussianDropout(draw(_RATES)), (draw(arrays(shapes())),))


@strategy_for(ops.GaussianNoise)
@st.composite
def gaussian_noise(draw: st.DrawFn) -> OpCase:
    """Any deviation."""
    return OpCase(ops.GaussianNoise(draw(st.sampled_from([0.0, 0.5, 2.0]))), (draw(arrays(shapes())),))
