"""Running sums and products."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir_numpy.rules import rules


@rules.rule(ops.CumSum)
def cum_sum(op: ops.CumSum, x: Array) -> Array:
    return np.cumsum(x, axis=op.axis, dtype=x.dtype)


@rules.rule(ops.CumProd)
def cum_prod(op: ops.CumProd, x: Array) -> Array:
    return np.cumprod(x, axis=op.axis, dtype=x.dtype)
