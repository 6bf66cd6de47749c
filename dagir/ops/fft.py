"""Fourier transforms. A complex number is a pair of floats, as in keras.ops: no dtype of dagir holds one."""

from __future__ import annotations

import numpy as np

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.graph import Op, Operand, Value, apply_node
from dagir.ir.operands import as_value
from dagir.ir.rounding import Disturbed, Rounding
from dagir.ir.types import Array, Equations, Inferred, TensorType
from dagir.ops.operands import reference, require, same_dtype

__all__ = [
    "Dft",
    "fft",
]


def _spread_evenly(op: Dft, disturbed: Disturbed) -> Array:
    """As with an error that is a share of the norm of the whole axis: fast transforms mix all elements in all sums.

    The error of a fast transform grows as the number of its stages, log2 n. N. J. Higham, Accuracy and Stability of
    Numerical Algorithms, theorem 24.2.
    """
    squares = [np.square(part) for part in disturbed.operands if part is not None]
    norm = np.sqrt(np.sum(squares[0] + squares[1], axis=-1, keepdims=True))
    size = disturbed.result.shape[-1]
    noise = disturbed.rng.standard_normal(disturbed.result.shape)
    return np.asarray(disturbed.result + 0.25 * disturbed.eps * np.log2(size) * norm * noise, disturbed.result.dtype)


class Dft(Op):
    """real, imag: f[*s, n] -> f[*s, n], f[*s, n]: out[k] = sum over j of x[j] exp(-2 pi i j k / n).  ONNX DFT-20."""

    rounding = Rounding(
        compound=True, terms=lambda op, floats: 2.0 * float(floats[0].shape[-1]), errors=(_spread_evenly,)
    )
    operands = ("real", "imag")

    def infer(self, real: TensorType, imag: TensorType) -> Inferred:
        """The type of real, twice."""
        equations = Equations()
        same_dtype(real, imag)
        require("float", real, imag)
        if real.rank < 1 or real.rank != imag.rank:
            raise ShapeError("a Fourier transform takes two values of one shape, of rank 1 or more")
        sizes = []
        for axis, (size, other) in enumerate(zip(real.shape, imag.shape, strict=True)):
            agreed = equations.equate(size, other)
            if agreed is None:
                raise ShapeError(
                    f"the real and the imaginary part have different sizes: {size} and {other}",
                    marks={0: [axis], 1: [axis]},
                )
            sizes.append(agreed)
        if not isinstance(sizes[-1], int) or sizes[-1] < 1:
            raise ShapeError(
                f"a Fourier transform takes a last axis of a known size, at least 1, got {sizes[-1]}",
                marks={0: [real.rank - 1], 1: [imag.rank - 1]},
                remedy="give the input a number for its last axis: Input(shape=(..., 128))",
            )
        result = real.with_shape(tuple(sizes))
        return equations.inferred(result, result)


def fft(x: tuple[Operand, Operand]) -> tuple[Value, Value]:
    """The discrete Fourier transform along the last axis, whose size must be known. x: the real and the imaginary part.

    >>> show(*ops.fft(([1.0, 2.0], [0.0, 1.0])))
    [3.0, -1.0]
    [1.0, -1.0]
    """
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise ArgumentError(
            "fft takes a pair, the real and the imaginary part",
            remedy="for a real x: ops.fft((x, ops.zeros_like(x)))",
        )
    first = as_value(x[0], like=reference(x[1]))
    real, imag = apply_node(Dft(), (first, as_value(x[1], like=first))).outputs
    return real, imag
