"""Operators of com.microsoft that ONNX has too, in another layout or under another name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import DType
from dagir_onnx.importing import conv, microsoft_quantized, pool
from dagir_onnx.importing.fused import plain
from dagir_onnx.importing.microsoft_quantized import channels_first, channels_last
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import MICROSOFT, rule
from dagir_onnx.importing.tensors import sizes_of

_SAME = {"GatherND": 2, "Trilu": 2, "Range": 3}


@rule(*_SAME, domain=MICROSOFT)
def _same(call: NodeCall) -> Value:
    return plain(call, call.op, _SAME[call.op])


@rule("Pad", domain=MICROSOFT)
def _pad(call: NodeCall) -> Value:
    """Its pads may be a matrix of one row."""
    pads = sizes_of(call.ints(1, "pads"))
    return plain(replace(call, tensors=(call.tensors[0], pads, call.tensor(2))), "Pad", 3)


@rule("ExpandDims", domain=MICROSOFT)
def _expand_dims(call: NodeCall) -> Value:
    return ops.expand_dims(call.input(0), call.ints(1, "axis")[0])


@rule("CDist", domain=MICROSOFT)
def _distances(call: NodeCall) -> Value:
    """f[m, n], f[k, n] -> f[m, k]."""
    metric = call.attribute("metric", "sqeuclidean")
    if metric not in ("euclidean", "sqeuclidean"):
        raise call.refused(f"its metric {metric!r} is none that onnxruntime has")
    apart = ops.subtract(ops.expand_dims(call.input(0), 1), ops.expand_dims(call.input(1), 0))
    squares = ops.sum(ops.square(apart), -1)
    return squares if metric == "sqeuclidean" else ops.sqrt(squares)


@rule("Inverse", domain=MICROSOFT)
def _inverse(call: NodeCall) -> Value:
    return ops.inv(call.input(0))


@rule("GroupNorm", "SkipGroupNorm", domain=MICROSOFT)
def _group_norm(call: NodeCall) -> Sequence[Value]:
    """Channels last by default, and silu behind it; with "skip" of a sum, which is the second output."""
    x, last = call.input(0), call.attribute("channels_last", 1)
    for place in (3, 4):
        part = call.optional(place)
        if part is not None and (not last or part.ndim == 2):
            raise call.refused("it adds what is not laid out as its first input, channels last")
        x = x if part is None else ops.add(x, part)
    gamma, beta = (None if each is None else ops.cast(each, DType.FLOAT32) for each in (call.weight(1), call.weight(2)))
    axis, epsilon = x.ndim - 1 if last else 1, call.attribute("epsilon", 1e-5)
    given = ops.cast(x, DType.FLOAT32)
    found = ops.group_normalization(given, call.attribute("groups"), gamma, beta, axis, epsilon)
    found = ops.silu(found) if call.attribute("activation", 0) else found
    return [ops.cast(found, x.dtype), x]


@rule("NhwcMaxPool", domain=MICROSOFT)
def _max_pool(call: NodeCall) -> Value:
    """Of codes, channels last."""
    return channels_last(pool.largest_of(call, channels_first(call.input(0))))


@rule("NhwcConv", "NhwcFusedConv", domain=MICROSOFT)
def _convolution(call: NodeCall) -> Value:
    """Channels last, with a kernel as Conv has it."""
    found = channels_last(conv.convolution_of(call, channels_first(call.input(0))))
    if call.tensor(3) is not None:
        found = ops.add(found, call.input(3))
    return microsoft_quantized.activated(call, found)
