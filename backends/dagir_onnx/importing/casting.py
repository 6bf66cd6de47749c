"""Casts. To the short floats, `saturate` says what becomes of numbers that these do not reach."""

from __future__ import annotations

from dagir import ops
from dagir.ir.graph import Value, apply
from dagir.ir.types import DType
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule


@rule("Cast")
def _cast(call: NodeCall) -> Value:
    return cast_to(call, call.dtype("to"))


@rule("CastLike")
def _cast_like(call: NodeCall) -> Value:
    return cast_to(call, call.input(1).dtype)


def cast_to(call: NodeCall, target: DType) -> Value:
    """The first input in another dtype. Text is no number: raises Refused."""
    x = call.input(0)
    if DType.STRING in (x.dtype, target):
        raise call.refused("casts between numbers and text", "do it before the model")
    return apply(ops.Cast(target, bool(call.attribute("saturate", 1)), call.attribute("round_mode", "up")), x)


__all__ = ["cast_to"]
