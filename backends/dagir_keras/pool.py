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
    return function(x, op.pool_size, op.strides, op.padding, op.data_format)
