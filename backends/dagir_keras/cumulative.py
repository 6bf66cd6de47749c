"""Running sums and products."""

from __future__ import annotations

from typing import Any

from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules


@rules.rule(ops.CumSum)
def cum_sum(op: ops.CumSum, x: Any) -> Any:
    return K.cumsum(x, axis=op.axis)


@rules.rule(ops.CumProd)
def cum_prod(op: ops.CumProd, x: Any) -> Any:
    return K.cumprod(x, axis=op.axis)
