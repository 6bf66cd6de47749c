"""Values taken apart along an axis."""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from dagir import ops
from dagir.errors import ShapeError
from dagir.ir.types import Array
from dagir_numpy.rules import rules


@rules.rule(ops.Split)
def split(op: ops.Split, x: Array) -> tuple[Array, ...]:
    if x.shape[op.axis] != sum(op.sizes):  # NumPy would cut it all the same
        raise ShapeError(f"axis {op.axis} has size {x.shape[op.axis]}, the parts {sum(op.sizes)}")
    return tuple(np.split(x, list(accumulate(op.sizes))[:-1], op.axis))
