"""The adjoints of what divides by its own sums: softmax, normalizations, attention."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.dims import evaluate
from dagir.ir.types import Array, normalize_axes
from dagir.precision.adjoints import Evaluated, operand_of, optional, rule, summed_to


@rule(ops.Softmax)
def _softmax(op: ops.Softmax, at: Evaluated, place: int, gradient: Array) -> Array:
    y = at.results[0]
    axes = normalize_axes(op.axes, y.ndim)
    return np.asarray(y * (gradient - (gradient * y).sum(axis=axes, keepdims=True)))


@rule(ops.LogSoftmax)
def _log_softmax(op: ops.LogSoftmax, at: Evaluated, place: int, gradient: Array) -> Array:
    y = at.results[0]
    axes = normalize_axes(op.axes, y.ndim)
    return np.asarray(gradient - np.exp(y) * gradient.sum(axis=axes, keepdims=True))


def _normalized(x: Array, worth: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    """Of (x - mean) / sqrt(var + epsilon)."""
    mean = x.mean(axis=axes, keepdims=True)
    scale = 1 / np.sqrt(x.var(axis=axes, keepdims=True) + epsilon)
    y = (x - mean) * scale
    along = y * (worth * y).mean(axis=axes, keepdims=True)
    return np.asarray(scale * (worth - worth.mean(axis=axes, keepdims=True) - along))


@rule(ops.LayerNorm)
def _layer_norm(op: ops.LayerNorm, at: Evaluated, place: int, gradient: Array) -> Array:
    x, gamma = operand_of(at, 0), optional(at, 1)
    if place:
        y = (x - x.mean(axis=op.axes, keepdims=True)) / np.sqrt(x.var(axis=op.axes, keepdims=True) + op.epsilon)
        shape = [n if axis in op.axes else 1 for axis, n in enumerate(x.shape)]
        return summed_to(gradient * y if place == 1 else gradient, shape).reshape(operand_of(at, place).shape)
    worth = gradient if gamma is None else gradient * _over(gamma, op.axes, x)
    return _normalized(x, worth, op.axes, op.epsilon)


def _over(vector: Array, axes: tuple[int, ...], x: Array) -> Array:
    return vector.reshape([n if axis in axes else 1 for axis, n in enumerate(x.shape)])


@rule(ops.GroupNorm)
def _group_norm(op: ops.GroupNorm, at: Evaluated, place: int, gradient: Array) -> Array | None:
    if place:
        return None
    x, gamma = operand_of(at, 0), optional(at, 1)
    worth = gradient if gamma is None else gradient * _over(gamma, (op.axis,), x)
    parts = [evaluate(size, {}) for size in op.split(x.shape)]
    axes = op.reduced(x.ndim)
    return _normalized(x.reshape(parts), worth.reshape(parts), axes, op.epsilon).reshape(x.shape)


@rule(ops.RMSNorm)
def _rms_norm(op: ops.RMSNorm, at: Evaluated, place: int, gradient: Array) -> Array | None:
    if place:
        return None
    x, gamma = operand_of(at, 0), optional(at, 1)
    worth = gradient if gamma is None else gradient * _over(gamma, op.axes, x)
    scale = 1 / np.sqrt(np.square(x).mean(axis=op.axes, keepdims=True) + op.epsilon)
    y = x * scale
    return np.asarray(scale * (worth - y * (worth * y).mean(axis=op.axes, keepdims=True)))


@rule(ops.Attention)
def _attention(op: ops.Attention, at: Evaluated, place: int, gradient: Array) -> Array:
    """The weights of attention are found by attending to the unit vectors: a value for each step."""
    q, k, v = (operand_of(at, each) for each in range(3))
    steps = k.shape[-2]
    unit = np.broadcast_to(np.eye(steps), (*k.shape[:-1], steps))
    weights = np.asarray(at.with_operand(2, unit)[0])  # [*b, t, s]
    shared = q.shape[-3] // k.shape[-3] if q.ndim > 2 and k.shape[-3] else 1
    wide = [np.repeat(each, shared, axis=-3) if shared > 1 else each for each in (k, v)]
    if place == 2:
        return _joined(np.swapaxes(weights, -1, -2) @ gradient, shared, v)
    scores = gradient @ np.swapaxes(wide[1], -1, -2)
    scores = weights * (scores - (weights * scores).sum(axis=-1, keepdims=True)) * _counted(op, at)
    if place == 0:
        return np.asarray(op.scale * scores @ wide[0])
    if place == 1:
        return _joined(op.scale * np.swapaxes(scores, -1, -2) @ q, shared, k)
    return summed_to(scores, operand_of(at, place).shape)


def _counted(op: ops.Attention, at: Evaluated) -> Array:
    """Which scores count; the others are the same number whatever q and k are."""
    rows, columns = operand_of(at, 0).shape[-2], operand_of(at, 1).shape[-2]
    apart = np.arange(columns) - np.arange(rows)[:, None]
    counted = (apart <= 0) if op.causal else np.ones((rows, columns), bool)
    if op.window is not None:
        counted = counted & (np.abs(apart) < op.window)
    mask = optional(at, 4)
    return counted if mask is None else counted & mask


def _joined(worth: Array, shared: int, like: Array) -> Array:
    """The sum over the heads that share one."""
    if shared == 1:
        return np.asarray(worth)
    return np.asarray(worth.reshape(*like.shape[:-2], shared, *like.shape[-2:]).sum(axis=-3))
