"""How sums of equal terms round, as of an image of one colour.

Added one after another, equal terms meet the same rounding at each step until the exponent of the partial sum grows.
Such errors do not cancel: they grow as the number of terms, K, and not as its square root. Over drawn numbers their
standard deviation is K/16 eps of the sum, for K from 64 to 3136. Other terms round at random once they differ by more
than the last place of the partial sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dagir.ir.first_order import Carried, averaged
from dagir.ir.rounding import Disturbed
from dagir.ir.types import Array

_FEW = 16
"""Terms up to which the noise of a sum is as large as the drift."""

_EPS = 2.0**-23


def drift(op: Any, x: Array) -> Array | None:
    """The standard deviation of the drift of a sum or mean over `op.axes`, in eps of the result; None if there is none.

    Terms count that equal the one in the middle, in the last place of the partial sum; where others are equal among
    themselves, it is the error of a float32 sum of one after another, if that is more than independent roundings make.
    """
    terms = int(np.prod([x.shape[axis] for axis in op.axes]))
    if terms <= _FEW:
        return None
    middle = x
    for axis in op.axes:
        middle = np.take(middle, [x.shape[axis] // 2], axis)
    equal = np.abs(x - middle) <= terms * _EPS * np.abs(middle)
    found: Array = np.count_nonzero(equal, axis=op.axes, keepdims=op.keepdims) / 16
    found = np.maximum(found, _measured(op, x, terms))
    return found if found.max(initial=0) > _FEW / 16 else None


def _measured(op: Any, x: Array, terms: int) -> Array:
    """The error of a float32 sum, in eps of the sum; 0 where it is what independent roundings make."""
    with np.errstate(all="ignore"):
        narrow = x.astype(np.float32)
        exact = np.add.reduce(narrow, axis=op.axes, keepdims=op.keepdims, dtype=np.float64)
        error = np.abs(np.add.reduce(narrow, axis=op.axes, keepdims=op.keepdims) - exact) / _EPS
        expected = (1 + np.sqrt(terms) / 4) * np.add.reduce(np.abs(narrow), axis=op.axes, keepdims=op.keepdims)
        return np.asarray(np.where((error > expected) & (exact != 0), error / np.abs(exact), 0.0))


def summed(op: Any, at: Carried) -> Array | None:
    """The first-order rule of sums and means over `op.axes`."""
    moved, (x, *_) = averaged(op, at), at.operands
    assert x is not None
    size = None if moved is None else drift(op, x)
    if moved is None or size is None:
        return moved
    length = np.sqrt(x.size / at.result.size)
    own = 0.5 * (1 + length / 4)  # the noise on an operand, in eps
    moved += at.numbers(0, *at.result.shape) * (size / own * np.abs(at.result)).astype(np.float32)
    return moved


def drifting(op: Any, sample: Disturbed) -> Array:
    """The same, of an evaluation with noise."""
    (x,) = sample.operands
    size = None if x is None else drift(op, x)
    if size is None:
        return sample.result
    return np.asarray(sample.result * (1 + sample.eps * size * sample.rng.standard_normal(size.shape)))
