"""Operators on the bits of integers."""

from __future__ import annotations

from dagir import ops
from dagir.ir.graph import Value
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule


@rule("BitShift")
def _shift(call: NodeCall) -> Value:
    """Shifted by a number of bits; by more than there are, or by a negative number, all bits are shifted out."""
    x, y = call.input(0), call.input(1)
    left = call.attribute("direction") == "LEFT"
    bits, known = x.dtype.numpy.itemsize * 8, call.array(1)
    shift = ops.left_shift if left else ops.right_shift
    if known is not None and ((known >= 0) & (known < bits)).all():
        return shift(x, y)
    outside = ops.logical_or(ops.less(y, 0), ops.greater_equal(y, bits))
    rest = shift(x, ops.where(outside, ops.zeros_like(y), y))
    if left or "signed" not in x.dtype.kinds:
        return ops.where(outside, ops.zeros_like(x), rest)
    return ops.where(outside, ops.right_shift(x, ops.full_like(x, bits - 1)), rest)


@rule("BitwiseAnd")
def _and(call: NodeCall) -> Value:
    return ops.bitwise_and(call.input(0), call.input(1))


@rule("BitwiseOr")
def _or(call: NodeCall) -> Value:
    return ops.bitwise_or(call.input(0), call.input(1))


@rule("BitwiseXor")
def _xor(call: NodeCall) -> Value:
    return ops.bitwise_xor(call.input(0), call.input(1))


@rule("BitwiseNot")
def _not(call: NodeCall) -> Value:
    return ops.bitwise_not(call.input(0))
