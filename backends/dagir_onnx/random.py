"""Dropout and noise: nothing at inference, and no node."""

from __future__ import annotations

from dagir import ops
from dagir.ir.graph import Op
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.rules import rules


@rules.rule(ops.Dropout, ops.AlphaDropout, ops.GaussianDropout, ops.GaussianNoise)
def identity(op: Op, emit: Emitter, x: Tensor) -> Tensor:
    return x
