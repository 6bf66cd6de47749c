"""Normalizations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dagir import ops
from dagir.ir.types import Array, fixed_shape
from dagir_numpy.rules import rules


@rules.rule(ops.BatchNorm)
def batch_norm(op: ops.BatchNorm, x: Array, gamma: Array | None, beta: Array | None, mean: Array, var: Array) -> Array:
    scale, shift = scale_and_shift(op, gamma, beta, mean, var)
    y = np.multiply(x, _along(scale, (op.axis,), x))
    y += _along(shift, (op.axis,), x)
    return y


def scale_and_shift(
    op: ops.BatchNorm, gamma: Array | None, beta: Array | None, mean: Array, var: Array
) -> tuple[Array, Array]:
    """What a BatchNorm multiplies with, gamma / sqrt(var + epsilon), and what it adds then, beta - mean * that."""
    deviation = np.sqrt(var + var.dtype.type(op.epsilon))
    scale = 1 / deviation if gamma is None else gamma / deviation
    shift = mean * scale
    return scale, np.negative(shift) if beta is None else beta - shift


@rules.rule(ops.LayerNorm)
def layer_norm(op: ops.LayerNorm, x: Array, gamma: Array | None = None, beta: Array | None = None) -> Array:
    centred = x - x.mean(axis=op.axes, keepdims=True)
    variance = np.square(centred).mean(axis=op.axes, keepdims=True)
    centred /= np.sqrt(variance + x.dtype.type(op.epsilon))
    return _scaled(centred, op.axes, gamma, beta)


@rules.rule(ops.GroupNorm)
def group_norm(op: ops.GroupNorm, x: Array, gamma: Array | None = None, beta: Array | None = None) -> Array:
    parts = x.reshape(fixed_shape(op.split(x.shape)))
    axes = op.reduced(x.ndim)
    centred = parts - parts.mean(axis=axes, keepdims=True)
    variance = np.square(centred).mean(axis=axes, keepdims=True)
    centred /= np.sqrt(variance + x.dtype.type(op.epsilon))
    return _scaled(centred.reshape(x.shape), (op.axis,), gamma, beta)


@rules.rule(ops.RMSNorm)
def rms_norm(op: ops.RMSNorm, x: Array, scale: Array | None = None) -> Array:
    square = np.square(x).mean(axis=op.axes, keepdims=True)
    return _scaled(x / np.sqrt(square + x.dtype.type(op.epsilon)), op.axes, scale, None)


def _along(vector: Array, axes: Sequence[int], x: Array) -> Array:
    """The vector shaped to broadcast along the axes of x."""
    return vector.reshape([size if axis in axes else 1 for axis, size in enumerate(x.shape)])


def _scaled(y: Array, axes: Sequence[int], gamma: Array | None, beta: Array | None) -> Array:
    """y * gamma + beta, in place."""
    if gamma is not None:
        y *= _along(gamma, axes, y)
    if beta is not None:
        y += _along(beta, axes, y)
    return y
