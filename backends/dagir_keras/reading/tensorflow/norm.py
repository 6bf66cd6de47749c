"""Normalization, and the moments that it takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim, max_dim
from dagir.ir.graph import Value
from dagir.ir.types import DType
from dagir.ops.creation import spend_elements
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.reduce import axes_of, mean, total
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.shape import layout
from dagir_keras.reading.tensorflow.tensors import Tensor, integer, ints, like, product, sized, tensor, value


@function("math.l2_normalize", "compat.v1.math.l2_normalize", "compat.v1.nn.l2_normalize")
def l2_normalize(x: Any, axis: Any = None, epsilon: Any = 1e-12, dim: Any = None) -> Tensor:
    given = value(tensor(x))
    squares = value(total(ops.square(given), axis if axis is not None else dim, True))
    return ops.multiply(given, ops.rsqrt(ops.maximum(squares, like(epsilon, given))))


@function("keras.backend.l2_normalize")
def _l2_normalize_of_keras(x: Any, axis: Any = None) -> Tensor:
    return l2_normalize(x, axis)


@function("nn.moments", "compat.v1.nn.moments")
def moments(
    x: Any, axes: Any, shift: Any = None, keepdims: Any = False, keep_dims: Any = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance."""
    given = value(tensor(x))
    if not given.dtype.is_float:
        raise Refused(f"it takes moments of {given.dtype}")
    places, keeps = axes_of(given, list(ints(axes, "axes"))), bool(keepdims or keep_dims)
    center = value(mean(given, places, True))
    spread = value(mean(ops.square(ops.subtract(given, center)), places, keeps))
    return (center if keeps else ops.squeeze(center, places)), spread


@function("nn.weighted_moments", "compat.v1.nn.weighted_moments")
def _weighted_moments(
    x: Any, axes: Any, frequency_weights: Any, keepdims: Any = False, keep_dims: Any = None
) -> tuple[Tensor, Tensor]:
    given = value(tensor(x))
    weights, places, keeps = like(frequency_weights, given), axes_of(given, list(ints(axes, "axes"))), True
    weights = ops.broadcast_to(weights, given.type.shape)
    whole = value(total(weights, places, keeps))
    center = ops.divide(value(total(ops.multiply(weights, given), places, keeps)), whole)
    square = ops.square(ops.subtract(given, center))
    spread = ops.divide(value(total(ops.multiply(weights, square), places, keeps)), whole)
    if keepdims or keep_dims:
        return center, spread
    return ops.squeeze(center, places), ops.squeeze(spread, places)


@function("nn.normalize_moments")
def _normalize_moments(counts: Any, mean_ss: Any, variance_ss: Any, shift: Any) -> tuple[Tensor, Tensor]:
    first, second = value(tensor(mean_ss)), value(tensor(variance_ss))
    part = ops.reciprocal(like(counts, first))
    shifted = ops.multiply(first, part)
    center = shifted if shift is None else ops.add(shifted, like(shift, first))
    return center, ops.subtract(ops.multiply(second, part), ops.square(shifted))


@function("nn.batch_normalization", "compat.v1.nn.batch_normalization")
def batch_normalization(x: Any, mean: Any, variance: Any, offset: Any, scale: Any, variance_epsilon: Any) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset; all of them broadcast."""
    given = value(tensor(x))
    center, spread = like(mean, given), like(variance, given)
    factor = ops.rsqrt(ops.add(spread, like(variance_epsilon, given)))
    if scale is not None:
        factor = ops.multiply(factor, like(scale, given))
    moved = ops.negative(ops.multiply(center, factor))
    if offset is not None:
        moved = ops.add(moved, like(offset, given))
    return ops.add(ops.multiply(given, factor), moved)


@function("keras.backend.batch_normalization")
def _batch_normalization_of_keras(
    x: Any, mean: Any, var: Any, beta: Any, gamma: Any, axis: Any = -1, epsilon: Any = 1e-3
) -> Tensor:
    return batch_normalization(x, mean, var, beta, gamma, epsilon)


@raw("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def fused_batch_norm(
    x: Tensor,
    scale: Tensor,
    offset: Tensor,
    mean: Tensor,
    variance: Tensor,
    epsilon: float = 1e-4,
    data_format: Any = "NHWC",
    is_training: bool = True,
    exponential_avg_factor: float = 1.0,
) -> tuple[Tensor, ...]:
    """With given statistics; or with those of x, which it gives too: so Keras 2 writes LayerNormalization."""
    axis = -1 if layout(data_format) == "channels_last" else 1
    if is_training:
        return _by_own_statistics(value(x), value(scale), value(offset), axis, float(epsilon), exponential_avg_factor)
    given, factor = value(x), value(scale)  # halves are normalized in float32
    found = ops.batch_normalization(
        ops.cast(given, factor.dtype), value(mean), value(variance), axis, value(offset), factor, float(epsilon)
    )
    return ops.cast(found, given.dtype), mean, variance, mean, variance, mean


def _by_own_statistics(
    x: Value, scale: Value, offset: Value, axis: int, epsilon: float, share: float
) -> tuple[Tensor, ...]:
    if share != 1:
        raise Refused("it moves averages of the statistics, as in training", "freeze it: is_training=False")
    given = ops.cast(x, scale.dtype)
    axes = [each for each in range(x.ndim) if each != axis % x.ndim]
    center, spread = ops.mean(given, axes), ops.var(given, axes)
    found = ops.batch_normalization(given, center, spread, axis, offset, scale, epsilon)
    count = product([x.type.shape[each] for each in axes])
    unbiased = spread * _number(count, scale.dtype) / _number(max_dim(count - 1, 1), scale.dtype)
    return ops.cast(found, x.dtype), center, unbiased, center, spread, center


def _number(size: Dim, dtype: DType) -> Value:
    return ops.cast(value(sized(np.asarray(size, object), DType.INT32)), dtype)


@function("compat.v1.nn.fused_batch_norm")
def _fused_batch_norm(
    x: Any,
    scale: Any,
    offset: Any,
    mean: Any = None,
    variance: Any = None,
    epsilon: Any = 0.001,
    data_format: Any = "NHWC",
    is_training: Any = True,
    exponential_avg_factor: Any = 1.0,
) -> tuple[Tensor, ...]:
    given = value(tensor(x))
    if is_training or mean is None or variance is None:
        raise Refused("it normalizes by the statistics of the batch, as in training", "freeze it: is_training=False")
    first, second, third, fourth = (like(each, given) for each in (scale, offset, mean, variance))
    return fused_batch_norm(given, first, second, third, fourth, epsilon, data_format, False)[:3]


@raw("LRN")
@function("nn.local_response_normalization", "compat.v1.nn.lrn")
def local_response_normalization(
    input: Any, depth_radius: Any = 5, bias: Any = 1.0, alpha: Any = 1.0, beta: Any = 0.5
) -> Tensor:
    """x / (bias + alpha * the sum of squares over the channels around) ** beta."""
    given, radius = value(tensor(input)), integer(depth_radius, "depth_radius")
    channels = given.type.shape[-1]
    if not isinstance(channels, int):
        raise Refused("it normalizes over an unknown number of channels")
    spend_elements("tf.nn.local_response_normalization", channels, channels)
    around = np.abs(np.subtract.outer(np.arange(channels), np.arange(channels))) <= radius
    squares = ops.matmul(ops.square(given), like(around.astype(given.dtype.numpy), given))
    base = ops.add(ops.multiply(squares, float(alpha)), float(bias))
    return ops.divide(given, ops.power(base, float(beta)))


@function("clip_by_norm")
def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None) -> Tensor:
    """The tensor scaled down to this norm, where its norm is larger."""
    given = value(tensor(t))
    squares = value(total(ops.square(given), axes, True))
    length = ops.sqrt(squares)
    bound = like(clip_norm, given)
    return ops.divide(ops.multiply(given, bound), ops.maximum(length, bound))


def standardized(given: Value) -> Value:
    """Each image with mean 0 and variance 1; the deviation is at least that of one pixel in sqrt(n)."""
    axes = tuple(range(given.ndim - 3, given.ndim))
    sizes = [given.type.shape[axis] for axis in axes]
    count = like(1.0, given)
    for size in sizes:
        count = ops.multiply(count, ops.cast(value(tensor(size)), given.dtype))
    center = ops.mean(given, axes, keepdims=True)
    deviation = ops.std(given, axes, keepdims=True)
    return ops.divide(ops.subtract(given, center), ops.maximum(deviation, ops.rsqrt(count)))
