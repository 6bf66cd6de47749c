"""Normalizations by given statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules


@rules.rule(ops.BatchNorm)
def batch_norm(op: ops.BatchNorm, x: Any, gamma: Any, beta: Any, mean: Any, var: Any) -> Any:
    inverse = K.rsqrt(_along(var, (op.axis,), x) + op.epsilon)
    return _scaled((x - _along(mean, (op.axis,), x)) * inverse, (op.axis,), gamma, beta)


@rules.rule(ops.LayerNorm)
def layer_norm(op: ops.LayerNorm, x: Any, gamma: Any = None, beta: Any = None) -> Any:
    centred = x - K.mean(x, axis=op.axes, keepdims=True)
    variance = K.mean(K.square(centred), axis=op.axes, keepdims=True)
    return _scaled(centred * K.rsqrt(variance + op.epsilon), op.axes, gamma, beta)


@rules.rule(ops.GroupNorm)
def group_norm(op: ops.GroupNorm, x: Any, gamma: Any = None, beta: Any = None) -> Any:
    shape = tuple(K.shape(x))  # ints where they are known, else tensors
    sizes = op.split(tuple(x.shape[op.axis] if axis == op.axis else size for axis, size in enumerate(shape)))
    if isinstance(x, keras.KerasTensor):
        sizes, shape = (tuple(-1 if size is None else size for size in found) for found in (sizes, shape))
    parts = K.reshape(x, sizes)
    axes = op.reduced(len(x.shape))
    centred = parts - K.mean(parts, axis=axes, keepdims=True)
    variance = K.mean(K.square(centred), axis=axes, keepdims=True)
    return _scaled(K.reshape(centred * K.rsqrt(variance + op.epsilon), shape), (op.axis,), gamma, beta)


@rules.rule(ops.RMSNorm)
def rms_norm(op: ops.RMSNorm, x: Any, scale: Any = None) -> Any:
    square = K.mean(K.square(x), axis=op.axes, keepdims=True)
    return _scaled(x * K.rsqrt(square + op.epsilon), op.axes, scale, None)


def _along(vector: Any, axes: Sequence[int], x: Any) -> Any:
    """The vector shaped to broadcast along the axes of x."""
    for axis in range(len(x.shape)):
        vector = vector if axis in axes else K.expand_dims(vector, axis)
    return vector


def _scaled(y: Any, axes: Sequence[int], gamma: Any, beta: Any) -> Any:
    y = y if gamma is None else y * _along(gamma, axes, y)
    return y if beta is None else y - K.negative(_along(beta, axes, y))  # K.add treats it as a bias of the last axis
