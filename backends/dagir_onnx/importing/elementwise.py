"""Operators of one operand, element by element."""

from __future__ import annotations

from dagir import ops
from dagir.ir.graph import Value
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule


@rule("Identity", "StopGradient")
def _identity(call: NodeCall) -> Value:
    return call.input(0)


for _name, _function in {
    "Abs": ops.absolute,
    "Ceil": ops.ceil,
    "Erf": ops.erf,
    "Exp": ops.exp,
    "Floor": ops.floor,
    "Log": ops.log,
    "Neg": ops.negative,
    "Reciprocal": ops.reciprocal,
    "Round": ops.round,
    "Sign": ops.sign,
    "Sqrt": ops.sqrt,
}.items():

    @rule(_name)
    def _one(call: NodeCall, function=_function) -> Value:  # type: ignore[no-untyped-def]
        return function(call.input(0))
