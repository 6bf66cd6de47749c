"""Fourier transforms."""

from __future__ import annotations

from typing import Any

from keras import backend
from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules


@rules.rule(ops.Dft)
def dft(op: ops.Dft, real: Any, imag: Any) -> tuple[Any, Any]:
    """TensorFlow has complex numbers of float32 and float64 only."""
    dtype = backend.standardize_dtype(real.dtype)
    if tuple(real.shape) != tuple(imag.shape):  # one knows a size that the other does not: Keras asks for equal ones
        real, imag = K.add(real, K.zeros_like(imag)), K.add(imag, K.zeros_like(real))
    if dtype in ("float32", "float64"):
        return tuple(K.fft((real, imag)))
    found = K.fft((K.cast(real, "float32"), K.cast(imag, "float32")))
    return K.cast(found[0], dtype), K.cast(found[1], dtype)
