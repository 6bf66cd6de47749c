"""Products of matrices, Einstein's sums, and what tf.linalg makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import DType
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.dtypes import dtype_of
from dagir_keras.reading.tensorflow.reduce import norm as euclidean_norm
from dagir_keras.reading.tensorflow.reduce import total
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import Tensor, integer, ints, like, pair, tensor, value


def _product(x: Tensor, y: Tensor, flip_x: bool, flip_y: bool) -> Value:
    left, right = value(x), value(y)
    if min(left.ndim, right.ndim) < 2:
        raise Refused(f"it takes matrices, got ranks {left.ndim} and {right.ndim}")
    left = ops.swapaxes(left, -1, -2) if flip_x else left
    return ops.matmul(left, ops.swapaxes(right, -1, -2) if flip_y else right)


@raw("MatMul")
def matmul_raw(a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    return _product(a, b, transpose_a, transpose_b)


@raw("BatchMatMul", "BatchMatMulV2")
def batch_matmul(x: Tensor, y: Tensor, adj_x: bool = False, adj_y: bool = False) -> Tensor:
    return _product(x, y, adj_x, adj_y)


@raw("BatchMatMulV3")
def batch_matmul_to(x: Tensor, y: Tensor, Tout: Any, adj_x: bool = False, adj_y: bool = False) -> Tensor:  # noqa: N803
    return _product(ops.cast(value(x), dtype_of(Tout)), ops.cast(value(y), dtype_of(Tout)), adj_x, adj_y)


@function("linalg.matmul", "compat.v1.matmul")
def matmul(
    a: Any,
    b: Any,
    transpose_a: Any = False,
    transpose_b: Any = False,
    adjoint_a: Any = False,
    adjoint_b: Any = False,
    a_is_sparse: Any = False,
    b_is_sparse: Any = False,
    output_type: Any = None,
) -> Tensor:
    """The matrix product, for each of a batch."""
    left, right = pair(a, b)
    if output_type is not None and dtype_of(output_type) is not left.dtype:
        raise Refused(f"its product is {output_type}, of tensors of {left.dtype}")
    return _product(left, right, bool(transpose_a or adjoint_a), bool(transpose_b or adjoint_b))


@function("linalg.matvec")
def _matvec(
    a: Any,
    b: Any,
    transpose_a: Any = False,
    adjoint_a: Any = False,
    a_is_sparse: Any = False,
    b_is_sparse: Any = False,
) -> Tensor:
    left, right = pair(a, b)
    column = ops.expand_dims(value(right), -1)
    return ops.squeeze(_product(left, column, bool(transpose_a or adjoint_a), False), -1)


@raw("Einsum")
def einsum_raw(*inputs: Tensor, equation: str) -> Tensor:
    return ops.einsum(equation, *[value(each) for each in inputs])


@function("einsum", "linalg.einsum")
def einsum(equation: Any, *inputs: Any, optimize: Any = None) -> Tensor:
    """Einstein's sum."""
    if not isinstance(equation, str):
        raise Refused(f"its equation is {str(equation)[:40]!r}")
    count = equation.count(",") + 1
    if len(inputs) != count:
        raise Refused(
            f"the file has {len(inputs)} of the {count} tensors of its {equation!r}: Keras did not write them",
            "write it as a layer: EinsumDense, Dot or a Layer subclass",
        )
    first = next((each for each in map(tensor, inputs) if isinstance(each, Value)), None)
    return ops.einsum(equation, *[value(tensor(each, like=first)) for each in inputs])


@function("tensordot", "linalg.tensordot")
def tensordot(a: Any, b: Any, axes: Any) -> Tensor:
    """The sum of products over pairs of axes."""
    left, right = pair(a, b)
    if isinstance(axes, (int, np.integer)):
        return ops.tensordot(value(left), value(right), int(axes))
    of_left, of_right = (ints(each, "axes") for each in axes)
    return ops.tensordot(value(left), value(right), (of_left, of_right))


@function("compat.v1.nn.xw_plus_b")
def _xw_plus_b(x: Any, weights: Any, biases: Any) -> Tensor:
    given = value(tensor(x))
    return ops.linear(given, like(weights, given), like(biases, given))


@function("linalg.cross")
def _cross(a: Any, b: Any) -> Tensor:
    left, right = pair(a, b)
    return ops.cross(value(left), value(right))


@raw("Cross")
def _cross_raw(a: Tensor, b: Tensor) -> Tensor:
    return _cross(a, b)


@function("linalg.trace")
def _trace(x: Any) -> Tensor:
    return ops.trace(value(tensor(x)), axis1=-2, axis2=-1)


@raw("MatrixDiagPart")
def diagonal(input: Any) -> Tensor:
    return ops.diagonal(value(tensor(input)), axis1=-2, axis2=-1)


@function("linalg.diag_part", "compat.v1.matrix_diag_part")
def _diag_part(input: Any, k: Any = 0, padding_value: Any = 0, align: Any = None) -> Tensor:
    places = ints(k, "k")
    if len(set(places)) != 1:
        raise Refused(f"it takes several diagonals, {places}")
    return ops.diagonal(value(tensor(input)), places[0], axis1=-2, axis2=-1)


@raw("MatrixDiagPartV2", "MatrixDiagPartV3")
def _diag_part_raw(input: Tensor, k: Tensor, padding_value: Tensor, align: Any = None) -> Tensor:
    return _diag_part(input, k, padding_value, align)


@raw("MatrixDiag")
def _diag_raw(diagonal: Tensor) -> Tensor:
    return _diag(diagonal)


@raw("MatrixDiagV2", "MatrixDiagV3")
def _diag_of_3(
    diagonal: Tensor, k: Tensor, num_rows: Tensor, num_cols: Tensor, padding_value: Tensor, align: Any = None
) -> Tensor:
    return _diag(diagonal, k, num_rows, num_cols, padding_value, align)


@function("linalg.diag", "compat.v1.matrix_diag")
def _diag(
    diagonal: Any, k: Any = 0, num_rows: Any = -1, num_cols: Any = -1, padding_value: Any = 0, align: Any = None
) -> Tensor:
    """Matrices with these main diagonals."""
    if (integer(k, "k"), integer(num_rows, "num_rows"), integer(num_cols, "num_cols")) != (0, -1, -1):
        raise Refused("it makes matrices of another diagonal than the main one")
    given = value(tensor(diagonal))
    on = _on_diagonal(given)
    return ops.where(on, ops.expand_dims(given, -1), like(padding_value, given))


def _on_diagonal(given: Value) -> Value:
    size = given.type.shape[-1]
    return ops.greater(ops.eye(size), 0.5)


@raw("MatrixSetDiag", "MatrixSetDiagV2", "MatrixSetDiagV3")
def _set_diag_raw(input: Tensor, diagonal: Tensor, k: Any = 0, align: Any = None) -> Tensor:
    return _set_diag(input, diagonal, k, align)


@function("linalg.set_diag", "compat.v1.matrix_set_diag")
def _set_diag(input: Any, diagonal: Any, k: Any = 0, align: Any = None) -> Tensor:
    """Square matrices with other main diagonals."""
    given = value(tensor(input))
    if integer(k, "k") or given.type.shape[-1] != given.type.shape[-2]:
        raise Refused("it sets another diagonal than the main one of square matrices")
    own = like(diagonal, given)
    return ops.where(_on_diagonal(own), ops.expand_dims(own, -1), given)


def norm(x: Value, ord: Any, axis: Any, keepdims: bool) -> Value:
    """The norm of vectors along an axis, or of all elements."""
    if ord in ("euclidean", "fro", 2) and not (ord == 2 and isinstance(axis, (list, tuple)) and len(axis) == 2):
        return value(euclidean_norm(x, axis, keepdims))
    if isinstance(axis, (list, tuple)) and len(axis) > 1:
        raise Refused(f"it takes the norm {ord!r} of matrices")
    size = ops.absolute(x)
    if ord == 1:
        return value(total(size, axis, keepdims))
    if ord in (float("inf"), "inf"):
        return ops.max(size, None if axis is None else ints(axis, "axis"), keepdims)
    power = float(ord)
    return ops.power(value(total(ops.power(size, power), axis, keepdims)), 1.0 / power)


@function("norm", "linalg.norm", "compat.v1.norm", "compat.v1.linalg.norm")
def _norm(tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: Any = None, keep_dims: Any = None) -> Tensor:
    return norm(_value(tensor), ord, axis, bool(keepdims or keep_dims))


def _value(data: Any) -> Value:
    return value(tensor(data))


@function("linalg.normalize")
def _normalize(tensor: Any, ord: Any = "euclidean", axis: Any = None) -> tuple[Tensor, Tensor]:
    given = _value(tensor)
    length = norm(given, ord, axis, True)
    return ops.divide(given, length), length


@function("keras.backend.dot")
def _dot(x: Any, y: Any) -> Tensor:
    """The sum over the last axis of x and the last but one of y."""
    left, right = map(value, pair(x, y))
    if right.ndim <= 2:
        return ops.matmul(left, right)
    return ops.tensordot(left, right, ((left.ndim - 1,), (right.ndim - 2,)))


@function("linalg.tensor_diag")
def _tensor_diag(diagonal: Any) -> Tensor:
    given = value(tensor(diagonal))
    if given.ndim != 1:
        raise Refused("it makes a diagonal of more than two axes")
    return _diag(given)


@raw("CumulativeLogsumexp")
@function("math.cumulative_logsumexp")
def cumulative_logsumexp(x: Any, axis: Any = 0, exclusive: Any = False, reverse: Any = False) -> Tensor:
    """log of the running sums of e**x, by the square of pairs of places: each axis has few of them."""
    given = value(tensor(x))
    if exclusive or reverse or given.dtype is DType.BOOL:
        raise Refused("it goes from the end, or leaves each element out")
    place = integer(axis, "axis") % given.ndim
    size = given.type.shape[place]
    moved = ops.moveaxis(given, place, -1)
    wide = ops.expand_dims(moved, -2)
    seen = ops.greater(ops.tri(size), 0.5)
    hidden = ops.where(seen, wide, like(float("-inf"), given))
    return ops.moveaxis(ops.logsumexp(hidden, axis=-1), -1, place)
