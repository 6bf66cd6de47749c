"""Attention and embeddings of com.microsoft on codes: QAttention, QEmbedLayerNormalization."""

from __future__ import annotations

from collections.abc import Sequence

from dagir import ops
from dagir.ir.graph import Value, apply
from dagir.ir.types import DType
from dagir_onnx.importing import quantization
from dagir_onnx.importing.fused_attention import attended_whole
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import MICROSOFT, rule


@rule("QAttention", domain=MICROSOFT)
def _q_attention(call: NodeCall) -> Sequence[Value | None]:
    """The product with the weights has integer sums; all behind it is of floats."""
    if call.attribute("do_rotary", 0) or call.attribute("past_present_share_buffer", 0):
        raise call.refused("it rotates its queries, or shares a buffer with its past", "write the model without that")
    zeros = [call.optional(place) for place in (6, 7)]
    scalars = [None if zero is None else quantization.scalar(zero) for zero in zeros]
    sums = apply(ops.MatMulInteger(), call.input(0), call.input(1), *scalars)
    scales = [quantization.scalar(call.input(place)) for place in (3, 4)]
    found = ops.multiply(ops.cast(sums, scales[0].dtype), ops.multiply(*scales))
    bias = call.weight(2)
    return attended_whole(call, found if bias is None else ops.add(found, bias), call.optional(5), call.optional(8))


def _decoded(call: NodeCall, codes: Value, scale: int) -> Value:
    zero = call.optional(scale + 5)
    rest = [quantization.scalar(call.input(scale)), None if zero is None else quantization.scalar(zero)]
    return apply(ops.DequantizeLinear(), codes, *rest)


@rule("QEmbedLayerNormalization", domain=MICROSOFT)
def _q_embed(call: NodeCall) -> Sequence[Value | None]:
    """Rows of codes, and then their numbers: a table is not decoded as a whole."""
    ids, segments, mask = call.input(0), call.optional(1), call.optional(7)
    steps = ids.type.shape[1]
    total = ops.add(
        _decoded(call, ops.take(call.input(2), ids, 0), 8),
        ops.expand_dims(_decoded(call, call.input(3)[:steps], 9), 0),
    )
    if segments is not None and call.tensor(4) is not None:
        total = ops.add(total, _decoded(call, ops.take(call.input(4), segments, 0), 10))
    gamma, beta = (_decoded(call, call.input(place), place + 6) for place in (5, 6))
    found = ops.layer_normalization(total, gamma, beta, [2], call.attribute("epsilon", 1e-12))
    lengths = None
    if call.wants(1):
        counts = ops.zeros((ids.type.shape[0],), "int32") if mask is None else ops.sum(mask, 1)
        lengths = ops.cast(counts, DType.INT32)
    return [found, lengths]
