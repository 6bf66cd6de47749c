"""Casts."""

from __future__ import annotations

from dagir import ops
from dagir.ir.graph import Value
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule


@rule("Cast")
def _cast(call: NodeCall) -> Value:
    return ops.cast(call.input(0), call.dtype("to"))
