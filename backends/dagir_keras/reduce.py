"""Reductions over axes."""

from __future__ import annotations

from typing import Any

from keras import backend
from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules

for _op, _function in {
    ops.ReduceSum: K.sum,
    ops.ReduceMean: K.mean,
    ops.ReduceMax: K.max,
    ops.ReduceMin: K.min,
    ops.ReduceProd: K.prod,
    ops.ReduceAny: K.any,
    ops.ReduceAll: K.all,
    ops.ReduceLogSumExp: K.logsumexp,
    ops.Variance: K.var,
}.items():
    rules.rule(_op)(lambda op, x, function=_function: _reduce(function, op, x))


def _reduce(function: Any, op: ops.ReduceSum, x: Any) -> Any:
    if not op.axes:
        return x - x if isinstance(op, ops.Variance) else x
    y = function(x, axis=op.axes, keepdims=op.keepdims)
    dtype = backend.standardize_dtype(x.dtype)
    return y if backend.standardize_dtype(y.dtype) == dtype else K.cast(y, dtype)  # Keras widens small integers


def _first_nan_or(function: Any, op: ops.ArgMax | ops.ArgMin, x: Any) -> Any:
    """The first NaN where there is one, as in NumPy and ONNX; TensorFlow passes over it."""
    found = function(x, axis=op.axis, keepdims=op.keepdims)
    if "float" not in backend.standardize_dtype(x.dtype):
        return found
    missing = K.isnan(x)
    first = K.argmax(K.cast(missing, "int32"), axis=op.axis, keepdims=op.keepdims)
    return K.where(K.any(missing, axis=op.axis, keepdims=op.keepdims), first, found)


@rules.rule(ops.ArgMax)
def arg_max(op: ops.ArgMax, x: Any) -> Any:
    return _place(K.argmax, op, x)


@rules.rule(ops.ArgMin)
def arg_min(op: ops.ArgMin, x: Any) -> Any:
    return _place(K.argmin, op, x)


def _place(function: Any, op: ops.ArgMax | ops.ArgMin, x: Any) -> Any:
    found = _first_nan_or(function, op, K.flip(x, axis=op.axis) if op.last else x)
    if op.last:
        count = K.sum(
            K.ones_like(x, dtype="int32"), axis=op.axis, keepdims=op.keepdims
        )  # of a size that may be unknown
        found = K.cast(count - 1, found.dtype) - found
    return K.cast(found, str(op.dtype))
