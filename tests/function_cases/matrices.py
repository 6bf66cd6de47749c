"""Products of matrices, diagonals and triangles."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from dagir import testing
from dagir.testing.cases import SIZES
from function_cases.table import function

_DTYPES = st.sampled_from(["float32", "float32", "int32"])


def two(draw: Any, first: tuple[int, ...], second: tuple[int, ...], dtypes: Any = _DTYPES) -> Any:
    dtype = draw(dtypes)
    return draw(testing.arrays(first, dtype)), draw(testing.arrays(second, dtype))


@function("matmul")
def matmul(draw: Any) -> Any:
    m, k, n = (draw(SIZES) for _ in range(3))
    shapes = draw(st.sampled_from([((m, k), (k, n)), ((k,), (k,)), ((2, m, k), (k, n)), ((k,), (3, k, n))]))
    return two(draw, *shapes), {}


@function("dot")
def dot(draw: Any) -> Any:
    m, k, n = (draw(SIZES) for _ in range(3))
    shapes = [((m, k), (k, n)), ((k,), (k,)), ((2, m, k), (k,)), ((), (m, n)), ((2, m, k), (3, k, n))]
    return two(draw, *draw(st.sampled_from(shapes))), {}


@function("inner")
def inner(draw: Any) -> Any:
    m, k, n = (draw(SIZES) for _ in range(3))
    return two(draw, *draw(st.sampled_from([((m, k), (n, k)), ((k,), (k,)), ((2, m, k), (n, k))]))), {}


@function("outer", "kron")
def outer(draw: Any) -> Any:
    return two(draw, *(draw(testing.shapes(2, 2)) for _ in range(2))), {}


@function("vdot")
def vdot(draw: Any) -> Any:
    shape = draw(testing.shapes(1, 3))
    return two(draw, shape, shape), {}


@function("tensordot")
def tensordot(draw: Any) -> Any:
    a, b, c, d = (draw(SIZES) for _ in range(4))
    shapes, axes = draw(
        st.sampled_from(
            [
                (((a, b, c), (b, c, d)), 2),
                (((a, b), (c, d)), 0),
                (((a, b, c), (c, d)), 1),
                (((a, b, c), (c, d, a)), ([0, 2], [2, 0])),
            ]
        )
    )
    return two(draw, *shapes), {"axes": axes}


@function("einsum")
def einsum(draw: Any) -> Any:
    a, b, c = (draw(SIZES) for _ in range(3))
    equation, shapes = draw(
        st.sampled_from([("ab,bc->ac", ((a, b), (b, c))), ("ab,bc", ((a, b), (b, c))), ("...a,ab", ((c, a), (a, b)))])
    )
    return (equation, *two(draw, *shapes)), {}


@function("cross")
def cross(draw: Any) -> Any:
    lead = draw(testing.shapes(0, 2))
    first, second = draw(st.sampled_from([(3, 3), (2, 2), (2, 3), (3, 2)]))
    return two(draw, (*lead, first), (*lead, second), st.just("float32")), {}


@function("diag", judge=np.diag)  # Keras fails where the diagonal lies outside
def diag(draw: Any) -> Any:
    return (draw(testing.arrays(testing.shapes(1, 2), draw(_DTYPES))),), {"k": draw(st.integers(-1, 1))}


@function("diagflat")
def diagflat(draw: Any) -> Any:
    return (draw(testing.arrays(testing.shapes(1, 2), draw(_DTYPES))),), {"k": draw(st.integers(-2, 2))}


def _trace(x: Any, **options: Any) -> Any:
    return np.trace(x, **options).astype(x.dtype)  # Keras fails where the matrix is not square and the offset not 0


@function("trace", judge=_trace)
@function("diagonal")
def diagonal(draw: Any) -> Any:
    x = draw(testing.arrays(testing.shapes(2, 4, st.sampled_from([2, 3, 5])), draw(_DTYPES)))
    first, second = draw(st.permutations(range(x.ndim)))[:2]
    return (x,), {"offset": draw(st.integers(-1, 1)), "axis1": first, "axis2": second}


@function("tril", "triu")
def triangle(draw: Any) -> Any:
    shape = (*draw(testing.shapes(0, 2)), draw(st.integers(2, 5)), draw(st.integers(2, 5)))
    return (draw(testing.arrays(shape, draw(_DTYPES))),), {"k": draw(st.integers(-1, 1))}
