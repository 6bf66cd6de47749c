"""Strategies for linear maps."""

from __future__ import annotations

from hypothesis import strategies as st

from dagir import ops
from dagir.testing.cases import SIZES, OpCase, arrays, shapes, strategy_for
from dagir.testing.elementwise import broadcastable


@strategy_for(ops.Linear)
@st.composite
def linear(draw: st.DrawFn) -> OpCase:
    """With and without a bias, over any number of leading axes."""
    units_in, units_out = draw(SIZES), draw(SIZES)
    x = draw(arrays((*draw(shapes(0, 3)), units_in)))
    bias = draw(arrays((units_out,))) if draw(st.booleans()) else None
    return OpCase(ops.Linear(), (x, draw(arrays((units_in, units_out))), bias), frozenset({1, 2}))


@strategy_for(ops.MatMul)
@st.composite
def matmul(draw: st.DrawFn) -> OpCase:
    """Leading axes broadcast; either operand may be a vector."""
    rows, inner, columns = draw(SIZES), draw(SIZES), draw(SIZES)
    first, second = draw(broadcastable(2))
    left = draw(st.sampled_from([(inner,), (*first[:2], rows, inner)]))
    right = draw(st.sampled_from([(inner,), (*second[:2], inner, columns)]))
    if len(left) > 1 and len(right) > 1:  # the leading axes still broadcast
        left, right = (*first[-2:], rows, inner), (*second[-2:], inner, columns)
    dtype = draw(st.sampled_from(["float32", "float32", "float64", "int32", "int64"]))
    return OpCase(ops.MatMul(), (draw(arrays(left, dtype)), draw(arrays(right, dtype))))


_EQUATIONS = (
    "ab->ba",
    "ab->a",
    "ab,bc->ac",
    "abc,cd->abd",
    "abc,cde->abde",
    "abc,abd->acd",
    "...a,ab->...b",
    "a...,a->...",
    "ab,bc,cd->ad",
    "ab,ab->",
)


@strategy_for(ops.Einsum)
@st.composite
def einsum(draw: st.DrawFn) -> OpCase:
    """One to three operands, with and without an ellipsis."""
    equation = draw(st.sampled_from(_EQUATIONS))
    sizes = {letter: draw(SIZES) for letter in "abcde"}
    leading = draw(shapes(0, 2))
    found = []
    for term in equation.split("->", maxsplit=1)[0].split(","):
        head, dots, tail = term.partition("...")
        shape = [sizes[c] for c in head] + list(leading if dots else ()) + [sizes[c] for c in tail]
        found.append(draw(arrays(tuple(shape))))
    return OpCase(ops.Einsum(equation), tuple(found))


@strategy_for(ops.Embedding)
@st.composite
def embedding(draw: st.DrawFn) -> OpCase:
    """Every id is a row of the table."""
    rows = draw(SIZES)
    ids = draw(arrays(shapes(0, 3), draw(st.sampled_from(["int32", "int64", "uint8"])), 0, rows - 1))
    return OpCase(ops.Embedding(), (ids, draw(arrays((rows, draw(SIZES))))), frozenset({1}))
