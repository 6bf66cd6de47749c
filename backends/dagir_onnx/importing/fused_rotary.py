"""Attention of com.microsoft as decoders have it: RotaryEmbedding, GroupQueryAttention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from dagir import ops
from dagir.ir.dims import Dim, max_dim
from dagir.ir.graph import Value
from dagir.ops.sizes import counted
from dagir_onnx.importing.data_shapes import entries_of, size_of
from dagir_onnx.importing.fused_attention import heads_of, joined
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import MICROSOFT, rule
from dagir_onnx.importing.tensors import constant_like


def rotated(x: Value, places: Value, cosines: Value, sines: Value, interleaved: bool) -> Value:
    """x: f[b, n, t, d], the first r elements turned in pairs by the angles of its places; cosines, sines: f[m, r/2]."""
    *_, size = x.type.shape
    width = cosines.type.shape[-1] * 2
    turned, rest = x[..., :width], (x[..., width:] if width != size else None)
    cos, sin = (ops.expand_dims(ops.take(table, places, 0), 1) for table in (cosines, sines))
    half = cosines.type.shape[-1]
    first, second = (turned[..., ::2], turned[..., 1::2]) if interleaved else (turned[..., :half], turned[..., half:])
    real = ops.subtract(ops.multiply(first, cos), ops.multiply(second, sin))
    imag = ops.add(ops.multiply(second, cos), ops.multiply(first, sin))
    if interleaved:
        found = ops.reshape(ops.stack([real, imag], -1), turned.type.shape)
    else:
        found = ops.concatenate([real, imag], -1)
    return found if rest is None else ops.concatenate([found, rest], -1)


@rule("RotaryEmbedding", domain=MICROSOFT)
def _rotary(call: NodeCall) -> Value:
    x, given, cosines, sines = call.input(0), call.input(1), call.input(2), call.input(3)
    if call.attribute("scale", 1.0) != 1 or call.attribute("is_packed_batching", 0):
        raise call.refused("it scales, or takes rows of several lengths as one", "write the model without that")
    count = call.attribute("num_heads", 0)
    if x.ndim == 3 and not count:
        size, half = x.type.shape[-1], cosines.type.shape[-1]
        if not isinstance(size, int) or not isinstance(half, int):
            raise call.refused(f"its heads of {size} and {half} numbers are known at run time only")
        count = size // (2 * half)
    q = heads_of(call, x, count)
    steps = q.type.shape[2]
    places = given
    if given.ndim == 1:
        places = ops.expand_dims(ops.add(ops.cast(counted(steps), given.dtype), given), 0)
    found = rotated(q, places, cosines, sines, bool(call.attribute("interleaved", 0)))
    return joined(found) if x.ndim == 3 else found


@dataclass(frozen=True)
class _Lengths:
    """steps: of the queries. before, whole: int64[b, 1], the steps that each row has had, and has with these."""

    steps: Dim
    before: Value
    whole: Value


_REFUSED = {
    "kv_cache_bit_width": "codes in its cache",
    "sliding_window_cache": "a cache that slides",
    "qk_output": "an output of scores",
}


@rule("GroupQueryAttention", domain=MICROSOFT)
def _group_query_attention(call: NodeCall) -> Sequence[Value | None]:
    """Queries in groups over the keys of one head; rows may have had fewer steps than the past is long."""
    for name, what in _REFUSED.items():
        if call.attribute(name, 0):
            raise call.refused(f"it has {what}", "write the model without that")
    if call.attribute("k_quant_type", "NONE") != "NONE" or any(call.tensor(place) for place in (12, 13, 16)):
        raise call.refused("it has codes in its cache, or queries of several lengths", "write the model without that")
    q, k, v = _split(call)
    lengths = _lengths(call, q.type.shape[2])
    if call.tensor(14) is not None:
        epsilon = call.attribute("qk_norm_epsilon", 1e-6)
        q, k = (
            ops.rms_normalization(x, call.weight(place), [3], call.attribute(f"{name}_norm_epsilon", epsilon))
            for x, place, name in ((q, 14, "q"), (k, 15, "k"))
        )
    if call.attribute("do_rotary", 0):
        places = _places(call, lengths)
        flag = bool(call.attribute("rotary_interleaved", 0))
        q, k = (rotated(x, places, call.input(7), call.input(8), flag) for x in (q, k))
    k, v = _present(call, k, v, lengths)
    return [joined(_attended(call, q, k, v, _seen(call, k, lengths))), k, v]


def _split(call: NodeCall) -> tuple[Value, Value, Value]:
    """q, k and v with heads; all in the first input where the others are left out."""
    x, count, inner = call.input(0), call.attribute("num_heads"), call.attribute("kv_num_heads")
    if call.tensor(1) is None:
        width = x.type.shape[-1]
        if not isinstance(width, int):
            raise call.refused(f"its width {width} is known at run time only")
        size = width // (count + 2 * inner)
        edges = (count * size, (count + inner) * size)
        parts = (x[..., : edges[0]], x[..., edges[0] : edges[1]], x[..., edges[1] :])
    else:
        parts = (x, call.input(1), call.input(2))
    q, k, v = (heads_of(call, each, n) for each, n in zip(parts, (count, inner, inner), strict=True))
    return q, k, v


def _lengths(call: NodeCall, steps: Dim) -> _Lengths:
    """A row has had none where as many steps come as it has in all."""
    whole = ops.expand_dims(ops.add(ops.cast(call.input(5), "int64"), 1), 1)
    past = call.optional(3)
    if past is None or past.type.shape[2] == 0:
        return _Lengths(steps, ops.zeros_like(whole), whole)
    total = ops.reshape(ops.cast(call.input(6), "int64"), ())
    count = ops.cast(ops.sum(ops.ones_like(counted(steps))), "int64") if not isinstance(steps, int) else steps
    before = ops.where(ops.equal(total, count), ops.zeros_like(whole), ops.subtract(whole, count))
    return _Lengths(steps, before, whole)


def _places(call: NodeCall, lengths: _Lengths) -> Value:
    """int64[b, t]: where each step is; one that is padding at 1, as onnxruntime has it."""
    if call.tensor(9) is not None:
        return call.input(9)
    at = ops.add(lengths.before, ops.expand_dims(ops.cast(counted(lengths.steps), "int64"), 0))
    return ops.where(ops.less(at, lengths.whole), at, ops.ones_like(at))


def _present(call: NodeCall, k: Value, v: Value, lengths: _Lengths) -> tuple[Value, Value]:
    """What each row has had, and these steps behind it."""
    past, total = call.optional(3), _total(call)
    if past is None or past.type.shape[2] == 0:
        return k, v
    count = past.type.shape[2]
    whole = max_dim(count, total)
    spread = ops.subtract(ops.expand_dims(ops.cast(counted(whole), "int64"), 0), lengths.before)
    own = _number(lengths.steps)
    is_new = ops.logical_and(ops.greater_equal(spread, 0), ops.less(spread, own))
    old = ops.minimum(ops.expand_dims(ops.cast(counted(whole), "int64"), 0), _number(count + lengths.steps - 1))
    index = ops.where(is_new, ops.add(spread, _number(count)), old)
    index = ops.expand_dims(index, (1, 3))
    found = []
    for place, new in ((3, k), (4, v)):
        both = ops.concatenate([call.input(place), new], 2)
        shape = (*both.type.shape[:2], whole, both.type.shape[3])
        found.append(ops.take_along_axis(both, ops.broadcast_to(index, shape), 2))
    return found[0], found[1]


def _number(size: Dim) -> Value:
    return ops.cast(ops.array(size) if isinstance(size, int) else ops.sum(ops.ones_like(counted(size))), "int64")


def _total(call: NodeCall) -> Dim:
    """The steps of the longest row."""
    given = call.tensor(6)
    if given is None:
        raise call.refused("it has no total_sequence_length")
    return size_of(entries_of(call, given, "total_sequence_length")[0])


def _seen(call: NodeCall, k: Value, lengths: _Lengths) -> Value:
    """bool[b, 1, t, s]: the keys that each step sees."""
    at = ops.expand_dims(ops.cast(counted(k.type.shape[2]), "int64"), (0, 1))
    if not call.attribute("causal", 1):
        return ops.expand_dims(ops.less(at, ops.expand_dims(lengths.whole, 2)), 1)
    rows = ops.add(lengths.before, ops.expand_dims(ops.cast(counted(lengths.steps), "int64"), 0))
    rows = ops.expand_dims(rows, 2)
    seen = ops.less_equal(at, rows)
    window = call.attribute("local_window_size", -1)
    if window > 0:
        seen = ops.logical_and(seen, ops.greater(at, ops.subtract(rows, window)))
    return ops.expand_dims(seen, 1)


def _attended(call: NodeCall, q: Value, k: Value, v: Value, seen: Value) -> Value:
    """With a cap of scores, or with a number beside the scores of each row, in single steps."""
    size = q.type.shape[-1]
    if not isinstance(size, int):
        raise call.refused("its heads have a size that is known at run time only")
    scale = call.attribute("scale", 0.0) or 1 / sqrt(size)
    cap, bias, sink = call.attribute("softcap", 0.0), call.optional(10), call.weight(11)
    if not cap and sink is None and not call.attribute("smooth_softmax", 0):
        return ops.attention(q, k, v, bias, seen, scale)
    groups = call.attribute("num_heads") // call.attribute("kv_num_heads")
    k, v = (ops.repeat(each, groups, 1) if groups > 1 else each for each in (k, v))
    scores = ops.matmul(ops.multiply(q, scale), ops.swapaxes(k, -1, -2))
    scores = scores if bias is None else ops.add(scores, bias)
    if cap:
        scores = ops.multiply(ops.tanh(ops.divide(scores, cap)), cap)
    scores = ops.where(seen, scores, constant_like(-1e30 if q.dtype.value == "float32" else -6e4, scores))
    if sink is None and not call.attribute("smooth_softmax", 0):
        return ops.matmul(ops.softmax(scores, -1), v)
    first = scores[..., :1]
    column = ops.zeros_like(first) if sink is None else ops.add(ops.zeros_like(first), ops.reshape(sink, (-1, 1, 1)))
    shares = ops.softmax(ops.concatenate([scores, column], -1), -1)
    return ops.matmul(shares[..., :-1], v)
