"""Rounding of sums: as many terms as they have, or more, where the errors of one after another do not cancel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dagir.ir.types import Array, DType

_FEW = 32  # terms, whose errors are small in any order


def terms_as_measured(op: Any, floats: Sequence[Array]) -> float:
    """How many terms of a random size would be summed with the error that a float32 sum of these has.

    The error of a sum of K terms grows with sqrt(K) while its roundings are independent. Those of equal terms, as of a
    constant row, are not: a partial sum is rounded the same way at each step while its exponent stays.
    """
    x = floats[0]
    count = float(np.prod([x.shape[axis] for axis in op.axes], dtype=float))
    if count < _FEW or not x.size:
        return max(count, 1.0)
    with np.errstate(all="ignore"):
        narrow = x.astype(np.float32)
        exact = np.add.reduce(narrow, axis=op.axes, dtype=np.float64)
        errors = np.abs(np.add.reduce(narrow, axis=op.axes) - exact)
        if not errors.max() > _expected(count) * np.abs(exact).max():
            return count
        relative = errors / np.add.reduce(np.abs(narrow), axis=op.axes, dtype=np.float64)
    worst = float(np.nanmax(np.where(np.isfinite(relative), relative, 0.0)))
    return max(count, _terms(worst))


def _expected(terms: float) -> float:
    """The relative error of a sum of so many terms: see dagir.equivalence.noise."""
    return float(0.5 * DType.FLOAT32.eps * (1 + terms**0.5 / 4))


def _terms(error: float) -> float:
    """The number of terms of which an error is expected."""
    return float((4 * max(2 * error / DType.FLOAT32.eps - 1, 0.0)) ** 2)
