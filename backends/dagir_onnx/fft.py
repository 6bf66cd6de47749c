"""Fourier transforms, as products with matrices of cosines and sines.

onnxruntime's DFT is no choice off powers of two: there it sums with angles that it rounds, and of 1000 float32 elements
only three digits are right. Long transforms are its DFT where the size is a power of two, else two short ones.
"""

from __future__ import annotations

from math import isqrt
from typing import TypeAlias

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.types import Array, DType
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.rules import rules

Pair: TypeAlias = tuple[Tensor, Tensor]

_LONG = 1024
_AXIS_IS_INPUT_SINCE = 20


@rules.rule(ops.Dft)
def dft(op: ops.Dft, emit: Emitter, real: Tensor, imag: Tensor) -> Pair:
    size = real.type.shape[-1] if isinstance(real.type.shape[-1], int) else imag.type.shape[-1]
    assert isinstance(size, int)
    if size > _LONG and size & (size - 1) == 0 and real.type.dtype in (DType.FLOAT32, DType.FLOAT64):
        return _native(emit, real, imag)
    first = next((each for each in range(isqrt(size), 1, -1) if size % each == 0), 1)
    if size > _LONG and first > 1:
        return _in_two_steps(emit, (real, imag), (first, size // first))
    tables = _tables(emit, size, size, size, real.type.dtype)
    return (
        emit("Add", emit("MatMul", real, tables[0]), emit("MatMul", imag, tables[1])),
        emit("Sub", emit("MatMul", imag, tables[0]), emit("MatMul", real, tables[1])),
    )


def _native(emit: Emitter, real: Tensor, imag: Tensor) -> Pair:
    rank, kind = real.type.rank, real.type
    parts = [emit("Unsqueeze", each, emit.ints(rank), type=kind.with_shape((*kind.shape, 1))) for each in (real, imag)]
    pairs = emit("Concat", *parts, axis=rank, type=kind.with_shape((*kind.shape, 2)))
    if rank == 1:  # the first axis is a batch
        pairs = emit("Unsqueeze", pairs, emit.ints(0))
    axis = max(rank - 1, 1)
    if emit.opset < _AXIS_IS_INPUT_SINCE:
        found = emit("DFT", pairs, axis=axis)
    else:
        found = emit("DFT", pairs, None, emit.constant(axis, np.int64))
    if rank == 1:
        found = emit("Squeeze", found, emit.ints(0))
    first, second = emit("Split", found, axis=rank, num_outputs=2, outputs=2)
    return tuple(emit("Squeeze", each, emit.ints(rank), type=kind) for each in (first, second))


def _in_two_steps(emit: Emitter, pair: Pair, sizes: tuple[int, int]) -> Pair:
    """Of rows and columns of a matrix of n elements, turned in between. Cooley and Tukey, 1965."""
    rows, columns = sizes
    kind = pair[0].type
    outer, rank = kind.shape[:-1], kind.rank
    matrix: tuple[Dim, ...] = (*outer, rows, columns)
    shape = emit.shape_tensor(matrix)
    real, imag = (emit("Reshape", each, shape, type=kind.with_shape(matrix)) for each in pair)
    cos, sin = _tables(emit, rows, rows, rows, kind.dtype)
    real, imag = (
        emit("Add", emit("MatMul", cos, real), emit("MatMul", sin, imag), type=real.type),
        emit("Sub", emit("MatMul", cos, imag), emit("MatMul", sin, real), type=real.type),
    )
    cos, sin = _tables(emit, rows * columns, rows, columns, kind.dtype)
    real, imag = (
        emit("Add", emit("Mul", real, cos), emit("Mul", imag, sin)),
        emit("Sub", emit("Mul", imag, cos), emit("Mul", real, sin)),
    )
    cos, sin = _tables(emit, columns, columns, columns, kind.dtype)
    real, imag = (
        emit("Add", emit("MatMul", real, cos), emit("MatMul", imag, sin)),
        emit("Sub", emit("MatMul", imag, cos), emit("MatMul", real, sin)),
    )
    back = emit.shape_tensor(kind.shape)
    turned = [emit("Transpose", each, perm=[*range(rank - 1), rank, rank - 1]) for each in (real, imag)]
    first, second = (emit("Reshape", each, back, type=kind) for each in turned)
    return first, second


def _tables(emit: Emitter, size: int, rows: int, columns: int, dtype: DType) -> Pair:
    """Cosines and sines of 2 pi j k / size, gathered from one turn; what is 0 there is 0, not the rounding of pi."""
    angles = 2 * np.pi * np.arange(size) / size
    turns: Array = np.outer(np.arange(rows), np.arange(columns)) % size
    cosines, sines = (np.where(np.abs(turn) < 1e-15, 0, turn)[turns] for turn in (np.cos(angles), np.sin(angles)))
    return emit.constant(cosines, dtype), emit.constant(sines, dtype)
