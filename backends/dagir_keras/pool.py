"""Pooling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from keras import backend
from keras import ops as K

from dagir import ops
from dagir.errors import UnsupportedOp
from dagir.ops.pool import adaptive_windows
from dagir_keras.rules import rules

for _op, _function in {ops.MaxPool: K.max_pool, ops.AveragePool: K.average_pool}.items():
    rules.rule(_op)(lambda op, x, function=_function: _pool(function, op, x))


def _pool(function: Any, op: ops.MaxPool | ops.AveragePool, x: Any) -> Any:
    if op.rank == 3 and backend.standardize_dtype(x.dtype) == "float64":
        raise UnsupportedOp("TensorFlow pools no float64 over three axes", remedy="cast the input to float32 before")
    if not isinstance(op.padding, str):
        return _padded(function, op, x)
    return function(x, op.pool_size, op.strides, op.padding, op.data_format)


def _padded(function: Any, op: ops.MaxPool | ops.AveragePool, x: Any) -> Any:
    """Explicit padding, for Keras's pooling has none: -infinity for a maximum; a mean counts only elements inside."""
    pads: list[Any] = [(0, 0)] * (op.rank + 2)
    for axis, pair in zip(op.spatial_axes, op.pads(()), strict=True):
        pads[axis] = pair

    def pooled(array: Any, outside: float) -> Any:
        padded = K.pad(array, pads, constant_values=outside)
        return function(padded, op.pool_size, op.strides, "valid", op.data_format)

    if isinstance(op, ops.MaxPool):
        return pooled(x, float("-inf"))
    return pooled(x, 0.0) / pooled(K.ones_like(x), 0.0)


@rules.rule(ops.AdaptiveMaxPool)
def adaptive_max_pool(op: ops.AdaptiveMaxPool, x: Any) -> Any:
    if reaches_outside(op, x.shape) or not hasattr(K, "adaptive_max_pool"):  # Keras 3.10 has none
        return _by_windows(op, x, K.max)
    return K.adaptive_max_pool(x, op.output_size, op.data_format)


@rules.rule(ops.AdaptiveAveragePool)
def adaptive_average_pool(op: ops.AdaptiveAveragePool, x: Any) -> Any:
    if reaches_outside(op, x.shape) or not hasattr(K, "adaptive_average_pool"):
        return _by_windows(op, x, K.mean)
    return K.adaptive_average_pool(x, op.output_size, op.data_format)


def _by_windows(op: ops.AdaptiveMaxPool | ops.AdaptiveAveragePool, x: Any, reduce: Callable[..., Any]) -> Any:
    for axis, number in zip(op.spatial_axes, op.output_size, strict=True):
        lead = (slice(None),) * axis
        parts = [x[(*lead, slice(start, end))] for start, end in adaptive_windows(x.shape[axis], number)]
        x = K.concatenate([reduce(part, axis=axis, keepdims=True) for part in parts], axis)
    return x


def reaches_outside(op: Any, shape: Sequence[Any]) -> bool:
    """Whether an axis has one window or one element: there the windows of Keras 3.15 reach outside.

    TensorFlow 2.21 refuses that when it is traced; with oneDNN it divides by zero and ends the process. op: an op or a
    layer.
    """
    first = 1 if op.data_format == "channels_last" else 2
    return 1 in op.output_size or 1 in shape[first : first + len(op.output_size)]
