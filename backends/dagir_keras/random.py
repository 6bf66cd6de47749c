"""Dropout and noise: the identity at inference. For training, their layer becomes a layer of Keras."""

from __future__ import annotations

from typing import Any

from dagir import ops
from dagir.ir.graph import Op
from dagir_keras.rules import rules


@rules.rule(ops.Dropout, ops.AlphaDropout, ops.GaussianDropout, ops.GaussianNoise)
def identity(op: Op, x: Any) -> Any:
    return x
