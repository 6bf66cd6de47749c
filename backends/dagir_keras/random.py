"""Dropout and noise: nothing at inference. Where training needs them, the layer that made them is a real one."""

from __future__ import annotations

from typing import Any

from dagir import ops
from dagir.ir.graph import Op
from dagir_keras.rules import rules


@rules.rule(ops.Dropout, ops.AlphaDropout, ops.GaussianDropout, ops.GaussianNoise)
def identity(op: Op, x: Any) -> Any:
    return x
