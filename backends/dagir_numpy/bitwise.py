"""Operations on the bits of integers."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir_numpy.rules import rules

for _op, _ufunc in {
    ops.BitwiseNot: np.bitwise_not,
    ops.BitwiseAnd: np.bitwise_and,
    ops.BitwiseOr: np.bitwise_or,
    ops.BitwiseXor: np.bitwise_xor,
    ops.LeftShift: np.left_shift,
    ops.RightShift: np.right_shift,
}.items():
    rules.rule(_op)(lambda op, *xs, ufunc=_ufunc: ufunc(*xs))
