"""Operators of com.microsoft that onnxruntime's own optimizer writes: what it fuses is read as its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import DType, normalize_axis
from dagir_onnx.importing.linear import scaled_product
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import MICROSOFT, find_rule, rule

_VERSION = 17  # of ONNX's own operators that the fused ones are made of


def plain(call: NodeCall, op: str, count: int, attributes: Mapping[str, Any] | None = None) -> Value:
    """The first output of ONNX's own operator on the first inputs of the node, with its attributes."""
    given = call.attributes if attributes is None else attributes
    inner = replace(
        call, domain="", op=op, version=_VERSION, tensors=call.tensors[:count], attributes=given, outputs=("",)
    )
    found_rule = find_rule("", op, _VERSION)
    assert found_rule is not None
    found = found_rule(inner)
    result: Value = found[0] if isinstance(found, (list, tuple)) else found
    return result


# ---- activations in other operators


def _activated(call: NodeCall, x: Value, name: str, numbers: Sequence[float]) -> Value:
    kinds: dict[str, Callable[..., Value]] = {
        "": lambda: x,
        "Relu": lambda: ops.relu(x),
        "Tanh": lambda: ops.tanh(x),
        "Sigmoid": lambda: ops.sigmoid(x),
        "LeakyRelu": lambda alpha=0.01: ops.leaky_relu(x, alpha),
        "HardSigmoid": lambda alpha=0.2, beta=0.5: ops.clip(ops.add(ops.multiply(x, alpha), beta), 0.0, 1.0),
    }
    if name not in kinds:
        raise call.refused(f"its activation {name!r} is none that it can have")
    return kinds[name](*numbers)


@rule("FusedGemm", domain=MICROSOFT)
def _fused_gemm(call: NodeCall) -> Value:
    numbers = [call.attribute(name) for name in ("activation_alpha", "activation_beta", "activation_gamma")]
    found = plain(call, "Gemm", 3)
    return _activated(call, found, call.attribute("activation", ""), [n for n in numbers if n is not None])


@rule("FusedMatMul", "TransposeMatMul", domain=MICROSOFT)
def _fused_matmul(call: NodeCall) -> Value:
    """alpha * a @ b; transBatch moves the first axis to the place before the last."""
    operands = []
    for place, side in enumerate("AB"):
        x = call.weight(place)
        assert x is not None
        order = list(range(x.ndim))
        if call.attribute(f"transBatch{side}", 0):
            order = [*order[1:-1], 0, order[-1]]
        if call.attribute(f"trans{side}", 0) and x.ndim > 1:
            order[-2:] = order[:-3:-1]
        operands.append(x if order == list(range(x.ndim)) else ops.transpose(x, order))
    a, b = operands
    return scaled_product(a, b, call.attribute("alpha", 1.0))


# ---- gelu, softmax


@rule("Gelu", domain=MICROSOFT)
def _gelu(call: NodeCall) -> Value:
    return ops.gelu(call.input(0), approximate=False)


def _with_bias(call: NodeCall) -> Value:
    bias = call.weight(1)
    return call.input(0) if bias is None else ops.add(call.input(0), bias)


@rule("BiasGelu", domain=MICROSOFT)
def _bias_gelu(call: NodeCall) -> Value:
    return ops.gelu(_with_bias(call), approximate=False)


@rule("FastGelu", domain=MICROSOFT)
def _fast_gelu(call: NodeCall) -> Value:
    return ops.gelu(_with_bias(call), approximate=True)


@rule("QuickGelu", domain=MICROSOFT)
def _quick_gelu(call: NodeCall) -> Value:
    x, alpha = call.input(0), call.attribute("alpha", 1.702)
    return ops.silu(x) if alpha == 1 else ops.multiply(x, ops.sigmoid(ops.multiply(x, alpha)))


# ---- normalizations


def _layer_norm(x: Value, scale: Value | None, bias: Value | None, epsilon: float) -> Value:
    return ops.layer_normalization(x, scale, bias, [x.ndim - 1], epsilon)


@rule("SkipLayerNormalization", domain=MICROSOFT)
def _skip_layer_norm(call: NodeCall) -> Sequence[Value | None]:
    """A normalized sum, and the sum."""
    total, bias = ops.add(call.input(0), call.input(1)), call.weight(4)
    total = total if bias is None else ops.add(total, bias)
    if call.wants(1) or call.wants(2):
        raise call.refused("its mean and deviation are wanted, which no kernel gives")
    found = _layer_norm(total, call.weight(2), call.weight(3), call.attribute("epsilon", 1e-12))
    return [found, None, None, total]


@rule("SkipSimplifiedLayerNormalization", domain=MICROSOFT)
def _skip_rms_norm(call: NodeCall) -> Sequence[Value | None]:
    total, bias = ops.add(call.input(0), call.input(1)), call.weight(3)
    total = total if bias is None else ops.add(total, bias)
    found = ops.rms_normalization(total, call.weight(2), [total.ndim - 1], call.attribute("epsilon", 1e-12))
    return [found, None, None, total]


@rule("SimplifiedLayerNormalization")
@rule("SimplifiedLayerNormalization", domain=MICROSOFT)
def _simplified_layer_norm(call: NodeCall) -> Sequence[Value | None]:
    """onnxruntime's name of RMSNormalization, under ONNX's own domain. Its second output: 1 over the deviation."""
    x, epsilon = call.input(0), call.attribute("epsilon", 1e-5)
    axes = list(range(normalize_axis(call.attribute("axis", -1), x.ndim), x.ndim))
    found = ops.rms_normalization(x, call.weight(1), axes, epsilon)
    deviation = ops.rsqrt(ops.add(ops.mean(ops.square(x), axes, True), epsilon)) if call.wants(1) else None
    return [found, deviation]


@rule("EmbedLayerNormalization", domain=MICROSOFT)
def _embed_layer_norm(call: NodeCall) -> Sequence[Value | None]:
    """Words, places and segments, summed and normalized; the lengths of the rows; the sum."""
    ids, segments, places = call.input(0), call.optional(1), call.optional(8)
    words, table, kinds = call.weight(2), call.weight(3), call.weight(4)
    assert words is not None
    assert table is not None
    steps = ids.type.shape[1]
    total = ops.embedding(ids, words)
    at = ops.expand_dims(table[:steps], 0) if places is None else ops.embedding(places, table)
    total = ops.add(total, at)
    if segments is not None and kinds is not None:
        total = ops.add(total, ops.embedding(segments, kinds))
    found = _layer_norm(total, call.weight(5), call.weight(6), call.attribute("epsilon", 1e-12))
    mask, lengths = call.optional(7), None
    if call.wants(1):
        batch = ids.type.shape[0]
        counts = ops.zeros((batch,), "int32") if mask is None else ops.sum(mask, 1)
        lengths = ops.cast(counts, DType.INT32)
    return [found, lengths, total]


@rule("BiasSoftmax", domain=MICROSOFT)
def _bias_softmax(call: NodeCall) -> Value:
    """softmax of x and a bias, over the axes from `axis` on."""
    x, bias = call.input(0), call.input(1)
    axis = normalize_axis(call.attribute("axis", 1), x.ndim)
    inner = call.attribute("is_inner_broadcast", 1)
    if not inner and bias.ndim < x.ndim:
        raise call.refused("its bias is repeated over outer axes, and has fewer of them")
    return ops.softmax(ops.add(x, bias), tuple(range(axis, x.ndim)))


@rule("BiasDropout", domain=MICROSOFT)
def _bias_dropout(call: NodeCall) -> Value:
    """At inference: x + bias, and a residual."""
    found, residual = _with_bias(call), call.optional(2)
    return found if residual is None else ops.add(found, residual)
