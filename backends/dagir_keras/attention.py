"""Attention as single operations: keras.ops.dot_product_attention computes the same, but takes no window."""

from __future__ import annotations

from typing import Any

from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules

_LOWEST = -0.7 * 3.38953e38  # what Keras sets a masked score to


@rules.rule(ops.Attention)
def attention(op: ops.Attention, q: Any, k: Any, v: Any, bias: Any = None, mask: Any = None) -> Any:
    groups = op.groups(tuple(q.shape), tuple(k.shape))
    if groups > 1:
        k, v = K.repeat(k, groups, axis=-3), K.repeat(v, groups, axis=-3)
    half = str(q.dtype) in ("float16", "bfloat16")
    wide = "float32" if half else q.dtype  # as in Keras, whose scores have float32 at least
    scores = K.cast(K.matmul(q, K.swapaxes(k, -1, -2)), wide) * op.scale
    if bias is not None:
        scores = scores + K.cast(bias, wide)
    if op.causal or op.window is not None:
        reach = None if op.window is None else op.window - 1
        within = band(ops.Band(reach, 0 if op.causal else reach), scores)
        mask = within if mask is None else K.logical_and(mask, within)
    if mask is not None:
        scores = K.where(mask, scores, K.cast(_LOWEST, wide))
    powers = K.exp(scores - K.max(scores, axis=-1, keepdims=True))
    weights = powers / K.sum(powers, axis=-1, keepdims=True)
    return K.matmul(K.cast(weights, v.dtype), v)


@rules.rule(ops.Band)
def band(op: ops.Band, x: Any) -> Any:
    ones = K.cast(K.ones_like(x[(0,) * (len(x.shape) - 2)]), "int32")
    ahead = K.cumsum(ones, axis=1) - K.cumsum(ones, axis=0)
    inside = K.greater(ones, 0)
    if op.below is not None:
        inside = K.logical_and(inside, K.greater_equal(ahead, -op.below))
    if op.above is not None:
        inside = K.logical_and(inside, K.less_equal(ahead, op.above))
    return inside
