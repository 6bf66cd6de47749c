"""Running sums and products."""

from __future__ import annotations

from typing import Any

from keras import backend
from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules


@rules.rule(ops.CumSum)
def cum_sum(op: ops.CumSum, x: Any) -> Any:
    sums = K.cumsum(x, axis=op.axis)
    if not op.exclusive:
        return sums
    if "int" in backend.standardize_dtype(x.dtype):
        return sums - x  # exact, also where the sum leaves the dtype
    first = (slice(None),) * op.axis
    none = K.zeros_like(x[(*first, slice(0, 1))])
    return K.concatenate([none, sums[(*first, slice(None, -1))]], axis=op.axis)


@rules.rule(ops.CumProd)
def cum_prod(op: ops.CumProd, x: Any) -> Any:
    return K.cumprod(x, axis=op.axis)
