"""Pooling."""

from __future__ import annotations

from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules

for _op, _function in {ops.MaxPool: K.max_pool, ops.AveragePool: K.average_pool}.items():
    rules.rule(_op)(lambda op, x, function=_function: function(x, op.pool_size, op.strides, op.padding, op.data_format))
