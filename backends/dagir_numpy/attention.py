"""Attention."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir_numpy.rules import rules

LOWEST = -0.7 * 3.38953e38  # what Keras sets a masked score to


@rules.rule(ops.Attention)
def attention(
    op: ops.Attention, q: Array, k: Array, v: Array, bias: Array | None = None, mask: Array | None = None
) -> Array:
    groups = op.groups(q.shape, k.shape)
    if groups > 1:
        k, v = np.repeat(k, groups, axis=-3), np.repeat(v, groups, axis=-3)
    scores = np.matmul(q, np.swapaxes(k, -1, -2)) * q.dtype.type(op.scale)
    if bias is not None:
        scores = scores + bias
    counts = _counts(op, scores, mask)
    if counts is not None:
        scores = np.where(counts, scores, scores.dtype.type(LOWEST))
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.matmul(powers / powers.sum(axis=-1, keepdims=True), v)


def _counts(op: ops.Attention, scores: Array, mask: Array | None) -> Array | None:
    within = None
    if op.causal or op.window is not None:
        reach = None if op.window is None else op.window - 1
        within = band(ops.Band(reach, 0 if op.causal else reach), scores)
    if mask is None or within is None:
        return within if mask is None else mask
    return mask & within


@rules.rule(ops.Band)
def band(op: ops.Band, x: Array) -> Array:
    ahead = np.arange(x.shape[-1]) - np.arange(x.shape[-2])[:, None]
    inside = np.ones(ahead.shape, bool)
    if op.below is not None:
        inside &= ahead >= -op.below
    if op.above is not None:
        inside &= ahead <= op.above
    return inside
