"""Attention of com.microsoft, as onnxruntime's optimizer fuses it from products and a softmax."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.graph import Value
from dagir.ops.sizes import counted
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import MICROSOFT, rule
from dagir_onnx.importing.tensors import constant


def heads_of(call: NodeCall, x: Value, count: int) -> Value:
    """[b, t, n * d] to [b, n, t, d]; what has heads already stays."""
    if x.ndim == 4:
        return x
    batch, steps, width = x.type.shape
    if not isinstance(width, int) or width % count:
        raise call.refused(f"its width {width} is not one of {count} heads")
    return ops.transpose(ops.reshape(x, (batch, steps, count, width // count)), (0, 2, 1, 3))


def joined(x: Value) -> Value:
    """[b, n, t, d] to [b, t, n * d]."""
    batch, heads, steps, size = x.type.shape
    return ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (batch, steps, heads * size))


def _attended(call: NodeCall, q: Value, k: Value, v: Value, mask: Value | None, bias: Value | None) -> Value:
    """mask: bool, broadcast to [b, n, t, s]. What it hides gets the filter value added, as in onnxruntime."""
    size = q.type.shape[-1]
    if not isinstance(size, int):
        raise call.refused("its heads have a size that is known at run time only")
    scale = call.attribute("scale", 0.0) or 1 / sqrt(size)
    if mask is not None:
        low = constant(np.asarray(call.attribute("mask_filter_value", -10000.0), q.dtype.numpy))
        hidden = ops.where(mask, constant(np.zeros((), q.dtype.numpy)), low)
        bias = hidden if bias is None else ops.add(bias, hidden)
    seen = None
    if call.attribute("unidirectional", 0):
        seen = _causal(q, k)
    return ops.attention(q, k, v, bias, seen, scale)


def _causal(q: Value, k: Value) -> Value:
    """bool[t, s]: a step sees those up to its own; those of the past come first."""
    before = k.type.shape[2] - q.type.shape[2]
    rows = ops.expand_dims(counted(q.type.shape[2], before), 1)
    return ops.less_equal(ops.expand_dims(counted(k.type.shape[2]), 0), rows)


def _mask(call: NodeCall, given: Value | None, steps: object, batch: Dim | None = None) -> Value | None:
    """bool, broadcast to [b, n, t, s]. batch: where a vector of another size than that holds more than lengths."""
    if given is None:
        return None
    if given.ndim == 1:
        size = given.type.shape[0]
        is_lengths = size != 1 if batch is None else size == batch
        if not is_lengths:
            raise call.refused("its mask is a vector, which may be lengths, or places of the first and last step")
        places = ops.expand_dims(ops.cast(counted(steps), given.dtype), 0)  # type: ignore[arg-type]  # a size
        seen = ops.less(places, ops.expand_dims(given, 1))
        return ops.expand_dims(seen, (1, 2))
    seen = ops.not_equal(given, 0)
    if given.ndim == 2:
        return ops.expand_dims(seen, (1, 2))
    if given.ndim == 3:
        return ops.expand_dims(seen, 1)
    raise call.refused(f"its mask has rank {given.ndim}")


@rule("Attention", domain=MICROSOFT)
def _attention(call: NodeCall) -> Sequence[Value | None]:
    """x @ w + b is q, k and v, one beside the other."""
    x, w, b = call.input(0), call.weight(1), call.weight(2)
    if call.attribute("do_rotary", 0) or call.tensor(6) is not None or w is None:
        raise call.refused("it rotates its queries, or shares a buffer with its past", "write the model without that")
    whole = ops.matmul(x, w) if b is None else ops.add(ops.matmul(x, w), b)
    return attended_whole(call, whole, call.optional(3), call.optional(4), call.optional(5))


def attended_whole(
    call: NodeCall, whole: Value, given: Value | None, past: Value | None, bias: Value | None = None
) -> Sequence[Value | None]:
    """Attention where `whole` is q, k and v, one beside the other. given: its mask. bias: of the scores."""
    count, width = call.attribute("num_heads"), whole.type.shape[-1]
    if not isinstance(width, int):
        raise call.refused(f"its width {width} is known at run time only")
    sizes = call.attribute("qkv_hidden_sizes") or [width // 3] * 3
    edges = np.cumsum([0, *sizes]).tolist()
    q, k, v = (heads_of(call, whole[..., a:z], count) for a, z in pairwise(edges))
    if past is not None:
        k, v = ops.concatenate([past[0], k], 2), ops.concatenate([past[1], v], 2)
    batch, own = whole.type.shape[0], () if given is None else given.type.shape[:1]
    known = all(isinstance(size, int) for size in (batch, *own))
    mask = _mask(call, given, k.type.shape[2], batch if known else None)
    found = _attended(call, q, k, v, mask, bias)
    return [joined(found), ops.stack([k, v], 0) if call.wants(1) else None]


def _unpacked(call: NodeCall) -> list[Value]:
    """q, k and v; one tensor may hold all three, [b, t, n, 3, d], or keys and values, [b, t, n, 2, d]."""
    first = call.input(0)
    packed = [each for each in call.inputs[:2] if each is not None and each.ndim == 5]
    if packed and call.tensor(3) is not None:
        raise call.refused("its queries, keys or values are packed into one tensor, and it has a bias")
    if first.ndim == 5 and call.tensor(1) is None:
        return [ops.transpose(first[:, :, :, place], (0, 2, 1, 3)) for place in range(3)]
    second = call.optional(1)
    if second is not None and second.ndim == 5 and call.tensor(2) is None:
        return [first, *(ops.transpose(second[:, :, :, place], (0, 2, 1, 3)) for place in range(2))]
    if second is None or call.tensor(2) is None or first.ndim != 3:
        raise call.refused(f"its queries are {first.type}, and its keys or values are left out")
    return [first, second, call.input(2)]


@rule("MultiHeadAttention", domain=MICROSOFT)
def _multi_head(call: NodeCall) -> Sequence[Value | None]:
    """q, k and v by themselves, with a bias for the three of them."""
    count = call.attribute("num_heads")
    if any(call.tensor(place) is not None for place in (8, 9)):
        raise call.refused("it shares a buffer with its past", "write the model without that")
    if call.wants(3):
        raise call.refused("its scores are an output", "write the model without that")
    operands = _unpacked(call)
    bias = call.weight(3)
    if bias is not None:
        edge: Dim = 0
        for place, each in enumerate(operands):
            size = each.type.shape[-1] if each.ndim == 3 else 0
            operands[place] = ops.add(each, bias[edge : edge + size]) if size else each
            edge = edge + size
    q, k, v = (heads_of(call, each, count) for each in operands)
    for place in (6, 7):
        past = call.optional(place)
        if past is not None:
            k, v = (ops.concatenate([past, k], 2), v) if place == 6 else (k, ops.concatenate([past, v], 2))
    mask = _mask(call, call.optional(4), k.type.shape[2], q.type.shape[0])
    return [joined(_attended(call, q, k, v, mask, call.optional(5))), k, v]


__all__ = ["heads_of", "joined"]
