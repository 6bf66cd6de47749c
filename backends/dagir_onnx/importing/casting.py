"""Casts, and bits read as those of another dtype.

To the short floats, `saturate` says what becomes of numbers that these do not reach.
"""

from __future__ import annotations

from dagir import ops
from dagir.ir.graph import Value, apply
from dagir.ir.types import Array, DType
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.tensors import constant
from dagir_onnx.packing import bits_of, packed, unpacked


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


@rule("BitCast")
def _bit_cast(call: NodeCall) -> Value:
    """x: t[*s] -> to[*s], with the bits of x. Of floats those that are known while the graph is read alone.

    A float that is computed has other bits after each other rounding, so that no backend would agree with another.
    """
    x, target = call.input(0), call.dtype("to")
    if DType.STRING in (x.dtype, target) or bits_of(x.dtype) != bits_of(target):
        raise call.refused(f"reads the bits of {x.dtype} as those of {target}, which has not as many")
    if x.dtype is target:
        return x
    if all(kind.is_integer or kind is DType.BOOL for kind in (x.dtype, target)):
        return ops.view(x, target)
    known = call.array(0)
    if known is None:
        raise call.refused(
            f"reads the bits of {x.dtype} as those of {target}, and they depend on how floats are rounded",
            "compute with numbers of one dtype",
        )
    return constant(_bits_as(known, target))


def _bits_as(known: Array, target: DType) -> Array:
    """Stored numbers with their bits read as those of another dtype."""
    if bits_of(target) < 8:
        return unpacked(packed(known), target, known.shape)
    return known.view(target.numpy)


__all__ = ["cast_to"]
