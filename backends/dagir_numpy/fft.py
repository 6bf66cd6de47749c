"""Fourier transforms."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir_numpy.rules import rules


@rules.rule(ops.Dft)
def dft(op: ops.Dft, real: Array, imag: Array) -> tuple[Array, Array]:
    """In float64, whatever the dtype is; the parts are put in place apart, for 1j * inf has a part that is NaN."""
    x = np.empty(real.shape, np.complex128)
    x.real, x.imag = real, imag
    found = np.fft.fft(x)
    return found.real.astype(real.dtype), found.imag.astype(real.dtype)
