"""Comparison and logic, elementwise."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir_numpy.rules import rules

for _op, _ufunc in {
    ops.LogicalNot: np.logical_not,
    ops.IsNan: np.isnan,
    ops.Equal: np.equal,
    ops.NotEqual: np.not_equal,
    ops.Less: np.less,
    ops.LessEqual: np.less_equal,
    ops.Greater: np.greater,
    ops.GreaterEqual: np.greater_equal,
    ops.LogicalAnd: np.logical_and,
    ops.LogicalOr: np.logical_or,
    ops.LogicalXor: np.logical_xor,
    ops.Where: np.where,
}.items():
    rules.rule(_op)(lambda op, *xs, ufunc=_ufunc: ufunc(*xs))
