"""Arithmetic of two operands and more."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import DType
from dagir.ops.numerics import truncate_divide
from dagir_onnx.importing.broadcasting import pair
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import Rule, rule


def _binary(function: Callable[[Value, Value], Value]) -> Rule:
    return lambda call: function(*pair(call))


def _variadic(function: Callable[[Value, Value], Value]) -> Rule:
    return lambda call: reduce(function, [call.input(place) for place in range(len(call.tensors))])


rule("Add")(_binary(ops.add))
rule("Sub")(_binary(ops.subtract))
rule("Mul")(_binary(ops.multiply))
rule("Max")(_variadic(ops.maximum))
rule("Min")(_variadic(ops.minimum))
rule("Sum")(_variadic(ops.add))


@rule("Mean")
def _mean(call: NodeCall) -> Value:
    total = _variadic(ops.add)(call)
    count = len(call.tensors)
    return total if count == 1 else ops.divide(total, count)


@rule("Div")
def _divide(call: NodeCall) -> Value:
    x, y = pair(call)
    return ops.divide(x, y) if x.dtype.is_float else truncate_divide(x, y)


@rule("Mod")
def _modulo(call: NodeCall) -> Value:
    """The remainder with the sign of the divisor; with fmod=1 that of the dividend, as C has it."""
    x, y = call.input(0), call.input(1)
    return ops.fmod(x, y) if call.attribute("fmod", 0) else ops.mod(x, y)


@rule("Pow")
def _power(call: NodeCall) -> Value:
    """The result has the dtype of the base; the exponent may have another one."""
    base, exponent = pair(call)
    if base.dtype is exponent.dtype:
        return ops.power(base, exponent)
    if base.dtype.is_float:
        return ops.power(base, ops.cast(exponent, base.dtype))
    if exponent.dtype.is_float:
        found = ops.power(ops.cast(base, DType.FLOAT64), ops.cast(exponent, DType.FLOAT64))
        return ops.cast(found, base.dtype)
    wide = max(base.dtype, exponent.dtype, key=lambda dtype: (dtype.numpy.itemsize, "signed" in dtype.kinds))
    return ops.cast(ops.power(ops.cast(base, wide), ops.cast(exponent, wide)), base.dtype)
