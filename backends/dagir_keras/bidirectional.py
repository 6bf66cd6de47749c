"""Bidirectional: two recurrences; the outputs of the backward one are put into the order of time."""

from __future__ import annotations

from typing import Any

from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules


@rules.rule(ops.Bidirectional)
def bidirectional(op: ops.Bidirectional, *operands: Any) -> Any:
    (y, *states), (back, *others) = (
        rules[type(way)](way, *given) for way, given in zip(op.ways, op.operands_of(operands), strict=True)
    )
    return (K.concatenate([y, K.flip(back, axis=1)], axis=2), *states, *others)
