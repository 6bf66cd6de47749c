"""What matters to training alone."""

from __future__ import annotations

from dagir import ops
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.rules import rules


@rules.rule(ops.StopGradient)
def stop_gradient(op: ops.StopGradient, emit: Emitter, x: Tensor) -> Tensor:
    return x
