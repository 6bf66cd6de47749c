"""Operations on the bits of integers."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir_numpy.rules import rules

for _op, _ufunc in {
    ops.BitwiseNot: np.bitwise_not,
    ops.BitwiseAnd: np.bitwise_and,
    ops.BitwiseOr: np.bitwise_or,
    ops.BitwiseXor: np.bitwise_xor,
}.items():
    rules.rule(_op)(lambda op, *xs, ufunc=_ufunc: ufunc(*xs))


@rules.rule(ops.LeftShift)
def left_shift(op: ops.LeftShift, x1: Array, x2: Array) -> Array:
    return np.asarray(np.left_shift(x1, _amount(x2)))


@rules.rule(ops.RightShift)
def right_shift(op: ops.RightShift, x1: Array, x2: Array) -> Array:
    return np.asarray(np.right_shift(x1, _amount(x2)))


def _amount(x2: Array) -> Array:
    return np.clip(x2, 0, 8 * x2.dtype.itemsize - 1)
