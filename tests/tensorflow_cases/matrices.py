"""Factorizations, linear systems, special functions, bits and counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorflow_cases.table import Arguments, Draw, function, raw, unary

unary("math.erfinv", low=-0.999, high=0.999)
unary("math.bessel_i0", "math.special.bessel_i0", low=-30, high=30)


def strong(draw: Draw, rows: Any = None) -> Any:
    """Matrices far from singular, in an order that needs exchanges of rows."""
    size = draw.int(1, 6) if rows is None else rows
    x = draw.floats((*draw.shape(0, 2), size, size))
    x += np.where(x[..., :1] < 0, -2, 2).astype("float32") * np.eye(size, dtype="float32") * size
    return x[..., draw.rng.permutation(size), :]


def positive(draw: Draw) -> Any:
    x = strong(draw)
    return x @ np.swapaxes(x, -1, -2) / x.shape[-1]


def right(draw: Draw, matrix: Any) -> Any:
    return draw.floats((*matrix.shape[:-1], draw.int(1, 3)))


@raw("MatrixInverse")
@function("linalg.inv")
def _inverse(draw: Draw) -> Arguments:
    return (strong(draw),), {"adjoint": draw.flag()}


@raw("MatrixDeterminant", "LogMatrixDeterminant", "Lu")
@function("linalg.det", "linalg.slogdet", "linalg.lu")
def _square(draw: Draw) -> Arguments:
    return (strong(draw),), {}


@raw("Cholesky")
@function("linalg.cholesky", "linalg.logdet")
def _cholesky(draw: Draw) -> Arguments:
    return (positive(draw),), {}


@function("linalg.cholesky_solve")
def _cholesky_solve(draw: Draw) -> Arguments:
    factor = np.linalg.cholesky(positive(draw)).astype("float32")
    return (factor, right(draw, factor)), {}


@raw("MatrixSolve")
@function("linalg.solve")
def _solve(draw: Draw) -> Arguments:
    matrix = strong(draw)
    return (matrix, right(draw, matrix)), {"adjoint": draw.flag()}


@raw("MatrixTriangularSolve")
@function("linalg.triangular_solve")
def _triangular(draw: Draw) -> Arguments:
    size = draw.int(1, 6)
    matrix = draw.floats((*draw.shape(0, 2), size, size), -1, 1) + 3 * np.eye(size, dtype="float32")
    return (matrix, right(draw, matrix)), {"lower": draw.flag(), "adjoint": draw.flag()}


@function("linalg.lstsq")
def _least_squares(draw: Draw) -> Arguments:
    rows, columns = draw.one((3, 3), (5, 2), (2, 4))
    matrix = draw.floats((rows, columns)) + 4 * np.eye(rows, columns, dtype="float32")
    return (matrix, right(draw, matrix[:, :1] * matrix[:, :1].T)), {"l2_regularizer": draw.one(0.0, 0.5)}


@raw("Qr")
@function("linalg.qr")
def _qr(draw: Draw) -> Arguments:
    shape = (*draw.shape(0, 2), draw.int(1, 5), draw.int(1, 5))
    return (draw.floats(shape) + 4 * np.eye(*shape[-2:], dtype="float32"),), {"full_matrices": draw.flag()}


@raw("NextAfter")
@function("math.nextafter")
def _nextafter(draw: Draw) -> Arguments:
    shape = draw.shape()
    return (draw.floats(shape, dtype="float64"), draw.floats(draw.broadcasting(shape), dtype="float64")), {}


@raw("Bitcast")
def _bitcast_raw(draw: Draw) -> Arguments:
    (given, target), _ = _bitcast(draw)
    return (given,), {"type": target}


@function("bitcast")
def _bitcast(draw: Draw) -> Arguments:
    source, target = draw.one("int8", "int32", "uint8", "int64"), draw.one("int8", "uint8", "int32", "int64")
    own, wanted = np.dtype(source).itemsize, np.dtype(target).itemsize
    shape = draw.shape() if own >= wanted else (*draw.shape(), wanted // own)
    low, high = np.iinfo(source).min, np.iinfo(source).max
    return (draw.rng.integers(low, high, shape, source, endpoint=True), target), {}


@function("math.bincount")
def _bincount(draw: Draw) -> Arguments:
    shape = draw.shape(1, 2)
    given, is_weighted, axis = draw.ints(shape, 0, 6), draw.flag(), draw.one(0, -1)
    weights = draw.floats(shape) if is_weighted else None
    bounds = draw.one({}, {"minlength": 9}, {"maxlength": 3}, {"minlength": 5, "maxlength": 5})
    if axis == -1 and len(shape) == 1:
        axis = 0
    return (given, weights), {**bounds, "axis": axis, "binary_output": not is_weighted and draw.flag()}


@raw("Bincount")
def _bincount_of_1(draw: Draw) -> Arguments:
    shape = draw.shape(1, 2)
    return (draw.ints(shape, 0, 6), np.int32(4), draw.floats(shape)), {}


@raw("HistogramFixedWidth")
def _histogram_raw(draw: Draw) -> Arguments:
    return (draw.floats(draw.shape()), np.array([-2.5, 2.5], "float32"), np.int32(5)), {}


@function("histogram_fixed_width", "histogram_fixed_width_bins")
def _histogram(draw: Draw) -> Arguments:
    return (np.floor(draw.floats(draw.shape(), -6, 6)) + np.float32(0.5), [-5.0, 5.0]), {"nbins": draw.one(1, 5, 10)}
