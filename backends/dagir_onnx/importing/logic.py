"""Comparisons, logic, and the choice by a condition."""

from __future__ import annotations

from collections.abc import Callable

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import DType
from dagir_onnx.importing.broadcasting import pair
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import Rule, rule


def _binary(function: Callable[[Value, Value], Value]) -> Rule:
    return lambda call: function(*pair(call))


rule("And")(_binary(ops.logical_and))
rule("Or")(_binary(ops.logical_or))
rule("Xor")(_binary(ops.logical_xor))
rule("Greater")(_binary(ops.greater))
rule("GreaterOrEqual")(_binary(ops.greater_equal))
rule("Less")(_binary(ops.less))
rule("LessOrEqual")(_binary(ops.less_equal))


@rule("Equal")
def _equal(call: NodeCall) -> Value:
    x, y = pair(call)
    if x.dtype is DType.STRING:
        raise call.refused("compares text", "do it before the model")
    return ops.equal(x, y)


@rule("Not")
def _not(call: NodeCall) -> Value:
    return ops.logical_not(call.input(0))


@rule("Where")
def _where(call: NodeCall) -> Value:
    x, y = call.input(1), call.input(2)
    if x.dtype is DType.STRING:
        raise call.refused("chooses among texts", "do it before the model")
    return ops.where(call.input(0), x, y)


@rule("IsNaN")
def _is_nan(call: NodeCall) -> Value:
    return ops.isnan(call.input(0))


@rule("IsInf")
def _is_infinite(call: NodeCall) -> Value:
    x = call.input(0)
    above, below = call.attribute("detect_positive", 1), call.attribute("detect_negative", 1)
    if above and below:
        return ops.isinf(x)
    if above:
        return ops.isposinf(x)
    return ops.isneginf(x) if below else ops.zeros_like(x, DType.BOOL)
