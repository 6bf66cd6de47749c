"""Fourier transforms, as products with matrices of cosines and sines.

onnxruntime's DFT is no choice: off powers of two it sums with angles that it rounds, and of 1000 float32 elements only
three digits are right.
"""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.rules import rules


@rules.rule(ops.Dft)
def dft(op: ops.Dft, emit: Emitter, real: Tensor, imag: Tensor) -> tuple[Tensor, Tensor]:
    size = real.type.shape[-1] if isinstance(real.type.shape[-1], int) else imag.type.shape[-1]
    assert isinstance(size, int)
    cosines, sines = (emit.constant(table, real.type.dtype) for table in _tables(size))
    return (
        emit("Add", emit("MatMul", real, cosines), emit("MatMul", imag, sines)),
        emit("Sub", emit("MatMul", imag, cosines), emit("MatMul", real, sines)),
    )


def _tables(size: int) -> tuple[Array, Array]:
    """Cosines and sines of 2 pi j k / size, gathered from one turn; what is 0 there is 0, not the rounding of pi."""
    places = np.arange(size)
    angles = 2 * np.pi * places / size
    turns = np.outer(places, places) % size
    cosines, sines = (np.where(np.abs(turn) < 1e-15, 0, turn) for turn in (np.cos(angles), np.sin(angles)))
    return cosines[turns], sines[turns]
