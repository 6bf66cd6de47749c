"""Strategies for attention."""

from __future__ import annotations

from hypothesis import strategies as st

from dagir import ops
from dagir.testing.cases import SIZES, OpCase, arrays, shapes, strategy_for


@strategy_for(ops.Attention)
@st.composite
def attention(draw: st.DrawFn) -> OpCase:
    """Any rank, shared heads, biases and masks that broadcast, and rows that are masked completely."""
    batch, groups = draw(shapes(0, 2)), draw(st.sampled_from([1, 1, 2, 3]))
    steps, others, features = draw(SIZES), draw(SIZES), draw(SIZES)
    heads = (*batch[:-1], batch[-1] * groups) if batch else ()
    q, k = draw(arrays((*heads, steps, features))), draw(arrays((*batch, others, features)))
    v = draw(arrays((*batch, others, draw(SIZES))))
    scores = (*heads, steps, others)

    def beside(dtype: str) -> st.SearchStrategy[object]:
        cut = draw(st.integers(0, len(scores)))
        shape = tuple(draw(st.sampled_from([1, size])) for size in scores[cut:])
        return st.none() | arrays(shape, dtype)

    op = ops.Attention(
        draw(st.sampled_from([1.0, 0.3])), draw(st.booleans()), draw(st.sampled_from([None, None, 1, 2]))
    )
    return OpCase(op, (q, k, v, draw(beside("float32")), draw(beside("bool"))))  # type: ignore[arg-type]


@strategy_for(ops.Band)
@st.composite
def band(draw: st.DrawFn) -> OpCase:
    """A bound on one side, on both sides, or on none."""
    bound = st.sampled_from([None, 0, 1, 3])
    return OpCase(ops.Band(draw(bound), draw(bound)), (draw(arrays(shapes(2))),))
