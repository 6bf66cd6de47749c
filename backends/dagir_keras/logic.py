"""Comparison and logic, elementwise."""

from __future__ import annotations

from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules

for _op, _function in {
    ops.LogicalNot: K.logical_not,
    ops.IsNan: K.isnan,
    ops.Equal: K.equal,
    ops.NotEqual: K.not_equal,
    ops.Less: K.less,
    ops.LessEqual: K.less_equal,
    ops.Greater: K.greater,
    ops.GreaterEqual: K.greater_equal,
    ops.LogicalAnd: K.logical_and,
    ops.LogicalOr: K.logical_or,
    ops.LogicalXor: K.logical_xor,
    ops.Where: K.where,
}.items():
    rules.rule(_op)(lambda op, *xs, function=_function: function(*xs))
