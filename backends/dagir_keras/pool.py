"""Pooling."""

from __future__ import annotations

from typing import Any

from keras import backend
from keras import ops as K

from dagir import ops
from dagir.errors import UnsupportedOp
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
    """Keras pools without explicit padding: a maximum takes -infinity there, a mean is over the share inside."""
    pads: list[Any] = [(0, 0)] * (op.rank + 2)
    for axis, pair in zip(op.spatial_axes, op.pads(()), strict=True):
        pads[axis] = pair

    def pooled(array: Any, outside: float) -> Any:
        padded = K.pad(array, pads, constant_values=outside)
        return function(padded, op.pool_size, op.strides, "valid", op.data_format)

    if isinstance(op, ops.MaxPool):
        return pooled(x, float("-inf"))
    return pooled(x, 0.0) / pooled(K.ones_like(x), 0.0)
