"""Dropout and noise: nothing at inference."""

from __future__ import annotations

from dagir import ops
from dagir.ir.graph import Op
from dagir.ir.types import Array
from dagir_numpy.rules import rules


@rules.rule(ops.Dropout, ops.AlphaDropout, ops.GaussianDropout, ops.GaussianNoise)
def identity(op: Op, x: Array) -> Array:
    return x
