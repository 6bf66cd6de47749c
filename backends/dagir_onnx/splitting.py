"""Values taken apart along an axis."""

from __future__ import annotations

from typing import Any

from dagir import ops
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.rules import rules


@rules.rule(ops.Split)
def split(op: ops.Split, emit: Emitter, x: Tensor) -> Any:
    if len(op.sizes) == 1:
        return emit("Identity", x)
    return emit("Split", x, emit.ints(*op.sizes), outputs=len(op.sizes), axis=op.axis)
