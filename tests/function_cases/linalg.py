"""Factorizations, determinants and linear systems: matrices that are far from singular, and a few that are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from hypothesis import strategies as st

from dagir import testing
from function_cases.table import function

_SIZES = st.sampled_from([1, 2, 3, 5, 9])


def square(draw: Any, batch: int = 2) -> np.ndarray:
    """Matrices whose diagonal is large, in an order that needs exchanges of rows."""
    shape, size = draw(testing.shapes(0, batch)), draw(_SIZES)
    x = draw(testing.arrays((*shape, size, size)))
    strong = x + np.float32(2 * size) * np.where(x[..., :1] < 0, np.float32(-1), np.float32(1)) * np.eye(size)
    return np.take(strong, draw(st.permutations(range(size))), axis=-2).astype("float32")


def positive(draw: Any) -> np.ndarray:
    """Symmetric positive definite matrices."""
    x = draw(testing.arrays((*draw(testing.shapes(0, 2)), *(draw(_SIZES),) * 2), "float32", -2, 2))
    return x @ np.swapaxes(x, -1, -2) + np.eye(x.shape[-1], dtype="float32")


@function("det", "slogdet", "inv", within=4)
def of_squares(draw: Any) -> Any:
    return (square(draw),), {}


def _lu(x: Any) -> Any:
    return list(tf.linalg.lu(x))


@function("lu", judge=_lu, within=4)
def lu(draw: Any) -> Any:
    return (square(draw),), {}


@function("cholesky", within=4)
def cholesky(draw: Any) -> Any:
    return (positive(draw),), {"upper": draw(st.booleans())}


@function("logdet", within=4)
def logdet(draw: Any) -> Any:
    return (positive(draw),), {}


def triangle(draw: Any, lower: bool) -> np.ndarray:
    x = draw(testing.arrays((*draw(testing.shapes(0, 2)), *(draw(_SIZES),) * 2), "float32", -1, 1))
    x = x + 3 * np.eye(x.shape[-1], dtype="float32")
    return np.tril(x) if lower else np.triu(x)


@function("cholesky_inverse", within=4)
def cholesky_inverse(draw: Any) -> Any:
    upper = draw(st.booleans())
    return (triangle(draw, not upper),), {"upper": upper}


def sides(draw: Any, matrix: np.ndarray) -> np.ndarray:
    columns = draw(st.sampled_from([(), (1,), (3,)]))
    return draw(testing.arrays((*matrix.shape[:-1], *columns)))


@function("solve", within=4)
def solve(draw: Any) -> Any:
    matrix = square(draw)
    return (matrix, sides(draw, matrix)), {}


@function("solve_triangular", within=4)
def solve_triangular(draw: Any) -> Any:
    lower = draw(st.booleans())
    matrix = triangle(draw, lower)
    return (matrix, sides(draw, matrix)), {"lower": lower}


@function("qr", within=4)
def qr(draw: Any) -> Any:
    shape = (*draw(testing.shapes(0, 2)), draw(_SIZES), draw(_SIZES))
    x = draw(testing.arrays(shape)) + 4 * np.eye(*shape[-2:], dtype="float32")
    return (x,), {"mode": draw(st.sampled_from(["reduced", "complete"]))}


@function("cdist")
def cdist(draw: Any) -> Any:
    lead, size = draw(testing.shapes(0, 2)), draw(_SIZES)
    return tuple(draw(testing.arrays((*lead, draw(_SIZES), size))) for _ in range(2)), {}


@function("vander")
def vander(draw: Any) -> Any:
    x = draw(testing.arrays((draw(_SIZES),), draw(st.sampled_from(["float32", "int32"])), -3, 3))
    return (x,), {"N": draw(st.sampled_from([None, 1, 4])), "increasing": draw(st.booleans())}
