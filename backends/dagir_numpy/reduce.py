"""Reductions over axes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir_numpy.rules import rules

for _op, _function in {
    ops.ReduceSum: np.sum,
    ops.ReduceMean: np.mean,
    ops.ReduceMax: np.max,
    ops.ReduceMin: np.min,
    ops.ReduceProd: np.prod,
    ops.ReduceAny: np.any,
    ops.ReduceAll: np.all,
    ops.Variance: np.var,
}.items():
    rules.rule(_op)(lambda op, x, function=_function: function(x, axis=op.axes, keepdims=op.keepdims))


@rules.rule(ops.ReduceLogSumExp)
def log_sum_exp(op: ops.ReduceLogSumExp, x: Array) -> Array:
    """Shifted by the largest, so that no power overflows; not where that is infinite, for inf - inf is NaN."""
    largest = np.max(x, axis=op.axes, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(largest), largest, x.dtype.type(0))
    found = np.log(np.sum(np.exp(x - shift), axis=op.axes, keepdims=True)) + shift
    return found if op.keepdims else np.squeeze(found, op.axes)


@rules.rule(ops.ArgMax)
def arg_max(op: ops.ArgMax, x: Array) -> Array:
    return _place(np.argmax, op, x)


@rules.rule(ops.ArgMin)
def arg_min(op: ops.ArgMin, x: Array) -> Array:
    return _place(np.argmin, op, x)


def _place(function: Callable[..., Array], op: ops.ArgMax, x: Array) -> Array:
    found = function(np.flip(x, op.axis) if op.last else x, axis=op.axis, keepdims=op.keepdims)
    return np.asarray(x.shape[op.axis] - 1 - found if op.last else found)
