"""Determinants, factorizations of matrices and linear systems, composed of other ops: ONNX has operators for none.

Each is a loop over the columns of the textbook's algorithm, with whole rows and columns in each step. The rounding
errors are those of LAPACK's algorithms, which have the same bounds: G. H. Golub and C. F. Van Loan, Matrix
Computations, chapters 3 to 5. Names as in keras.ops.
"""

from __future__ import annotations

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim, min_dim
from dagir.ir.graph import Operand, Value
from dagir.ir.operands import as_value
from dagir.ops.arithmetic import divide, multiply, subtract
from dagir.ops.arrangement import swapaxes
from dagir.ops.creation import eye, full, zeros_like
from dagir.ops.elementwise import absolute, log, sign, sqrt, square
from dagir.ops.linear import matmul
from dagir.ops.logic import equal, greater, greater_equal, less, where
from dagir.ops.loops import fori_loop
from dagir.ops.matrices import triu
from dagir.ops.operands import reference, require, same_dtype
from dagir.ops.reduce import argmax, prod
from dagir.ops.reduce import sum as total
from dagir.ops.scatter import take_along_axis
from dagir.ops.shape import broadcast_to, expand_dims, squeeze, take
from dagir.ops.sizes import counted, measured

__all__ = [
    "cholesky",
    "cholesky_inverse",
    "det",
    "inv",
    "logdet",
    "lu",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
]


def cholesky(x: Operand, upper: bool = False) -> Value:
    """The lower triangular L with L L^T = x; its transpose with `upper`. Column by column.

    x: f[*s, n, n], symmetric and positive definite; its lower triangle is read. For other matrices the result has NaN,
    where Keras fails.

    >>> show(ops.cholesky([[4.0, 2.0], [2.0, 5.0]]))
    [[2.0, 0.0], [1.0, 2.0]]
    """
    matrix, size = _square("cholesky", x)
    rows = counted(size)

    def column(j: Value, lower: Value) -> Value:
        rest = subtract(take(matrix, j, -1), _times(lower, take(lower, j, -2)))
        scaled = divide(rest, _column(sqrt(take(rest, j, -1))))
        return where(equal(rows, j), _column(where(greater_equal(rows, j), scaled, 0.0)), lower)

    lower: Value = fori_loop(0, size, column, zeros_like(matrix))
    return swapaxes(lower, -1, -2) if upper else lower


def cholesky_inverse(x: Operand, upper: bool = False) -> Value:
    """The inverse of the matrix whose Cholesky factor is x.

    x: f[*s, n, n], lower triangular, or upper with `upper`.

    >>> show(ops.cholesky_inverse([[2.0, 0.0], [1.0, 2.0]]))
    [[0.3125, -0.125], [-0.125, 0.25]]
    """
    matrix, size = _square("cholesky_inverse", x)
    half = _substituted(matrix, _unit(matrix, size), lower=not upper)
    turned = swapaxes(half, -1, -2)
    return matmul(half, turned) if upper else matmul(turned, half)


def solve_triangular(a: Operand, b: Operand, lower: bool = False) -> Value:
    """x with a x = b, by substitution row by row.

    a: f[*s, n, n], of which the upper triangle is read, the lower one with `lower`. b: f[*s, n, k], or f[*s, n] of one
    axis less than a. Batches of the two broadcast.

    >>> show(ops.solve_triangular([[2.0, 1.0], [0.0, 4.0]], [4.0, 8.0]))
    [1.0, 2.0]
    """
    matrix, right, is_vector = _system("solve_triangular", a, b)
    found = _substituted(matrix, right, lower)
    return squeeze(found, -1) if is_vector else found


def lu(x: Operand) -> tuple[Value, Value]:
    """L and U in one matrix, and the rows of x in their order: x[p] = L U. Elimination with partial pivoting.

    x: f[*s, n, n] -> f[*s, n, n], int32[*s, n]. The diagonal of L is 1, and not stored.  tf.linalg.lu.

    >>> show(*ops.lu([[0.0, 2.0], [4.0, 8.0]]))
    [[4.0, 8.0], [0.0, 2.0]]
    [1, 0]
    """
    matrix, size = _square("lu", x)
    factors, order, _ = _eliminated(matrix, size)
    return factors, order


def det(x: Operand) -> Value:
    """The determinant of square matrices, from their LU factorization: f[*s, n, n] -> f[*s].

    >>> show(ops.det([[1.0, 2.0], [3.0, 4.0]]))
    -2.0
    """
    matrix, size = _square("det", x)
    factors, _, parity = _eliminated(matrix, size)
    return multiply(parity, prod(_diagonal(factors, size), -1))


def slogdet(x: Operand) -> tuple[Value, Value]:
    """The sign of the determinant and the logarithm of its absolute value: 0 and -inf where it is 0.

    x: f[*s, n, n] -> f[*s], f[*s].

    >>> show(*ops.slogdet([[1.0, 2.0], [3.0, 4.0]]))
    -1.0
    0.6931
    """
    matrix, size = _square("slogdet", x)
    factors, _, parity = _eliminated(matrix, size)
    pivots = _diagonal(factors, size)
    return multiply(parity, prod(sign(pivots), -1)), total(log(absolute(pivots)), -1)


def logdet(x: Operand) -> Value:
    """The logarithm of the determinant of symmetric positive definite matrices: f[*s, n, n] -> f[*s]. By `cholesky`.

    >>> show(ops.logdet([[4.0, 0.0], [0.0, 1.0]]))
    1.3863
    """
    lower = cholesky(x)
    return multiply(total(log(_diagonal(lower, lower.type.shape[-1])), -1), 2.0)


def solve(a: Operand, b: Operand) -> Value:
    """x with a x = b, by elimination with partial pivoting.

    a: f[*s, n, n]; b: f[*s, n, k], or f[*s, n] of one axis less than a. For a singular matrix the result has NaN or
    infinities, where Keras fails.

    >>> show(ops.solve([[2.0, 1.0], [1.0, 3.0]], [3.0, 5.0]))
    [0.8, 1.4]
    """
    matrix, right, is_vector = _system("solve", a, b)
    found = _solved(matrix, right)
    return squeeze(found, -1) if is_vector else found


def inv(x: Operand) -> Value:
    """The inverse of square matrices: f[*s, n, n] -> f[*s, n, n]. By `solve`, with its rounding errors.

    >>> show(ops.inv([[2.0, 0.0], [1.0, 4.0]]))
    [[0.5, 0.0], [-0.125, 0.25]]
    """
    matrix, size = _square("inv", x)
    return _solved(matrix, _unit(matrix, size))


def qr(x: Operand, mode: str = "reduced") -> tuple[Value, Value]:
    """q, r with q r = x: the columns of q are orthonormal, r is upper triangular. By Householder's reflections.

    x: f[*s, m, n] -> f[*s, m, k], f[*s, k, n], where k is min(m, n), or m with mode "complete". The signs are LAPACK's:
    the diagonal of r may be negative.

    >>> show(ops.qr([[3.0, 5.0], [4.0, 0.0]])[1])
    [[-5.0, -3.0], [0.0, -4.0]]
    """
    if mode not in ("reduced", "complete"):
        raise ArgumentError(f"the mode of qr is 'reduced' or 'complete', got {mode!r}")
    matrix = _matrix("qr", x)
    *_, m, n = matrix.type.shape
    count, rows = min_dim(m, n), counted(m)

    def reflected(j: Value, state: tuple[Value, Value]) -> tuple[Value, Value]:
        left, right = state
        below = where(greater_equal(rows, j), take(right, j, -1), 0.0)
        first = take(below, j, -1)
        tail = total(square(where(greater(rows, j), below, 0.0)), -1)
        length = sqrt(tail + square(first))
        signed = where(less(first, 0.0), -length, length)
        axis = where(equal(rows, j), _column(first + signed), below)
        weight = where(equal(tail, 0.0), 0.0, divide(2.0, where(equal(tail, 0.0), 1.0, total(square(axis), -1))))
        scaled = multiply(_column(weight), axis)
        right = subtract(right, multiply(_column(scaled), expand_dims(_times(swapaxes(right, -1, -2), axis), -2)))
        left = subtract(left, multiply(_column(_times(left, axis)), expand_dims(scaled, -2)))
        return left, right

    unit = _unit(matmul(matrix, swapaxes(matrix, -1, -2)), m)
    left, right = fori_loop(0, count, reflected, (unit, matrix))
    right = triu(right)
    if mode == "reduced" and count != m:
        left, right = left[..., :count], right[..., :count, :]
    return left, right


def _matrix(name: str, x: Operand) -> Value:
    matrix = as_value(x)
    require("float", matrix.type)
    if matrix.ndim < 2:
        raise ShapeError(f"{name} takes matrices, got {matrix.type}")
    return matrix


def _square(name: str, x: Operand) -> tuple[Value, Dim]:
    """Square matrices, and the number of their rows. Raises ShapeError, DTypeError."""
    matrix = _matrix(name, x)
    rows, columns = matrix.type.shape[-2:]
    if rows != columns:
        raise ShapeError(f"{name} takes square matrices, got {matrix.type}", marks={0: [matrix.ndim - 2]})
    return matrix, rows


def _system(name: str, a: Operand, b: Operand) -> tuple[Value, Value, bool]:
    """The matrices, the right sides as matrices, and whether they are vectors. Raises ShapeError, DTypeError."""
    matrix, size = _square(name, as_value(a, like=reference(b)))
    right = as_value(b, like=matrix)
    same_dtype(matrix.type, right.type)
    is_vector = right.ndim == matrix.ndim - 1
    right = expand_dims(right, -1) if is_vector else right
    if right.ndim < 2 or right.type.shape[-2] != size:
        raise ShapeError(f"{name} takes as many equations as unknowns, got {matrix.type} and {right.type}")
    return matrix, right, is_vector


def _unit(matrix: Value, size: Dim) -> Value:
    return broadcast_to(eye(size, dtype=matrix.dtype), (*matrix.type.shape[:-2], size, size))


def _column(x: Value) -> Value:
    return expand_dims(x, -1)


def _times(matrix: Value, vector: Value) -> Value:
    """f[*s, m, n], f[*s, n] -> f[*s, m]."""
    return squeeze(matmul(matrix, _column(vector)), -1)


def _diagonal(matrix: Value, size: Dim) -> Value:
    """f[*s, n, n] -> f[*s, n]."""
    places = counted(size)
    return total(where(equal(_column(places), places), matrix, 0.0), -1)


def _substituted(matrix: Value, right: Value, lower: bool, unit: bool = False) -> Value:
    """The solution of a triangular system. unit: the diagonal counts as 1."""
    size = matrix.type.shape[-1]
    rows, last = counted(size), measured(size - 1)

    def row(step: Value, found: Value) -> Value:
        k = step if lower else subtract(last, step)
        known = where((less if lower else greater)(rows, k), take(matrix, k, -2), 0.0)
        own = subtract(take(right, k, -2), squeeze(matmul(expand_dims(known, -2), found), -2))
        if not unit:
            own = divide(own, _column(take(take(matrix, k, -2), k, -1)))
        return where(_column(equal(rows, k)), expand_dims(own, -2), found)

    found: Value = fori_loop(0, size, row, zeros_like(matmul(matrix, right)))
    return found


def _eliminated(matrix: Value, size: Dim) -> tuple[Value, Value, Value]:
    """L and U in one matrix, the order of the rows, and 1 or -1 for an even or odd number of exchanges."""
    rows = counted(size)

    def step(k: Value, state: tuple[Value, Value, Value]) -> tuple[Value, Value, Value]:
        factors, order, parity = state
        candidates = where(greater_equal(rows, k), absolute(take(factors, k, -1)), -1.0)
        best = _column(argmax(candidates, -1))
        swap = where(equal(rows, k), best, where(equal(rows, best), k, rows))
        factors, order = take_along_axis(factors, _column(swap), -2), take_along_axis(order, swap, -1)
        parity = where(equal(squeeze(best, -1), k), parity, -parity)
        column = take(factors, k, -1)
        pivot = _column(take(column, k, -1))
        share = where(greater(rows, k), divide(column, where(equal(pivot, 0.0), 1.0, pivot)), 0.0)
        row = where(greater(rows, k), take(factors, k, -2), 0.0)
        factors = subtract(factors, multiply(_column(share), expand_dims(row, -2)))
        below = equal(rows, k) & _column(greater(rows, k))
        return where(below, _column(share), factors), order, parity

    outer = matrix.type.shape[:-2]
    order = broadcast_to(rows, (*outer, size))
    factors, order, parity = fori_loop(0, size, step, (matrix, order, full(outer, 1.0, matrix.dtype)))
    return factors, order, parity


def _solved(matrix: Value, right: Value) -> Value:
    size = matrix.type.shape[-1]
    factors, order, _ = _eliminated(matrix, size)
    placed = take_along_axis(right, _column(order), -2)
    return _substituted(factors, _substituted(factors, placed, lower=True, unit=True), lower=False)
