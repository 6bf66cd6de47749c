"""Running sums and products."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir_numpy.rules import rules


@rules.rule(ops.CumSum)
def cum_sum(op: ops.CumSum, x: Array) -> Array:
    if not op.exclusive:
        return np.cumsum(x, axis=op.axis, dtype=x.dtype)
    before = np.zeros_like(x)
    parts = np.moveaxis(before, op.axis, 0), np.moveaxis(x, op.axis, 0)
    np.cumsum(parts[1][:-1], axis=0, dtype=x.dtype, out=parts[0][1:])
    return before


@rules.rule(ops.CumProd)
def cum_prod(op: ops.CumProd, x: Array) -> Array:
    return np.cumprod(x, axis=op.axis, dtype=x.dtype)
