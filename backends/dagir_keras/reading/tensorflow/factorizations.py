"""Determinants, inverses, factorizations and linear systems of tf.linalg, by the functions of dagir.ops."""

from __future__ import annotations

from typing import Any, NamedTuple

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import DType
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.dtypes import dtype_of
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import Tensor, pair, tensor, value


class SLogDet(NamedTuple):
    """The result of tf.linalg.slogdet, by TensorFlow's names."""

    sign: Value
    log_abs_determinant: Value


class Lu(NamedTuple):
    """The result of tf.linalg.lu, by TensorFlow's names."""

    lu: Value
    p: Value


class Qr(NamedTuple):
    """The result of tf.linalg.qr, by TensorFlow's names."""

    q: Value
    r: Value


def _given(x: Any) -> Value:
    return value(tensor(x))


def _turned(x: Value, adjoint: Any) -> Value:
    return ops.swapaxes(x, -1, -2) if adjoint else x


@raw("MatrixInverse")
@function("linalg.inv")
def _inverse(input: Any, adjoint: Any = False) -> Tensor:
    return ops.inv(_turned(_given(input), adjoint))


@raw("MatrixDeterminant")
@function("linalg.det")
def _determinant(input: Any) -> Tensor:
    return ops.det(_given(input))


@raw("LogMatrixDeterminant")
@function("linalg.slogdet")
def _sign_and_logarithm(input: Any) -> SLogDet:
    return SLogDet(*ops.slogdet(_given(input)))


@function("linalg.logdet")
def _logarithm(matrix: Any) -> Tensor:
    return ops.logdet(_given(matrix))


@raw("Cholesky")
@function("linalg.cholesky")
def _cholesky(input: Any) -> Tensor:
    return ops.cholesky(_given(input))


@function("linalg.cholesky_solve")
def _cholesky_solve(chol: Any, rhs: Any) -> Tensor:
    """x with A x = rhs, where chol is the Cholesky factor of A."""
    factor, right = (value(each) for each in pair(chol, rhs))
    half = ops.solve_triangular(factor, right, lower=True)
    return ops.solve_triangular(ops.swapaxes(factor, -1, -2), half)


@raw("MatrixSolve")
@function("linalg.solve")
def _solve(matrix: Any, rhs: Any, adjoint: Any = False) -> Tensor:
    left, right = (value(each) for each in pair(matrix, rhs))
    return ops.solve(_turned(left, adjoint), right)


@raw("MatrixTriangularSolve", "BatchMatrixTriangularSolve")
@function("linalg.triangular_solve")
def _triangular_solve(matrix: Any, rhs: Any, lower: Any = True, adjoint: Any = False) -> Tensor:
    left, right = (value(each) for each in pair(matrix, rhs))
    return ops.solve_triangular(_turned(left, adjoint), right, lower=bool(lower) != bool(adjoint))


@function("linalg.lstsq")
def _least_squares(matrix: Any, rhs: Any, l2_regularizer: Any = 0.0, fast: Any = True) -> Tensor:
    """By the normal equations, as TensorFlow's fast way."""
    left, right = (value(each) for each in pair(matrix, rhs))
    rows, columns = left.type.shape[-2:]
    if not fast or not isinstance(rows, int) or not isinstance(columns, int):
        raise Refused(
            "it decomposes matrices completely, or those of unknown sizes", "leave fast True, and give them known sizes"
        )
    turned = ops.swapaxes(left, -1, -2)
    squares = ops.matmul(turned, left) if rows >= columns else ops.matmul(left, turned)
    squares = ops.add(squares, ops.multiply(ops.eye(min(rows, columns), dtype=left.dtype), float(l2_regularizer)))
    factor = ops.cholesky(squares)
    if rows >= columns:
        return _cholesky_solve(factor, ops.matmul(turned, right))
    return ops.matmul(turned, value(_cholesky_solve(factor, right)))


@raw("Lu")
@function("linalg.lu")
def _lu(input: Any, output_idx_type: Any = DType.INT32) -> Lu:
    factors, order = ops.lu(_given(input))
    return Lu(factors, ops.cast(order, dtype_of(output_idx_type)))


@raw("Qr")
@function("linalg.qr")
def _qr(input: Any, full_matrices: Any = False) -> Qr:
    return Qr(*ops.qr(_given(input), "complete" if full_matrices else "reduced"))
