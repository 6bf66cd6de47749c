"""Bidirectional: both recurrences, what the way back gives turned to the order of time."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir_numpy.rules import rules


@rules.rule(ops.Bidirectional)
def bidirectional(op: ops.Bidirectional, *operands: Array | None) -> tuple[Array, ...]:
    (y, *states), (back, *others) = (
        rules[type(way)](way, *given) for way, given in zip(op.ways, op.operands_of(operands), strict=True)
    )
    return (np.concatenate([y, back[:, ::-1]], axis=2), *states, *others)
