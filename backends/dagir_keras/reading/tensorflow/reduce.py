"""Reductions over axes, and the places of the largest and smallest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.graph import Op, Value, apply
from dagir.ir.types import DType, normalize_axes
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.dtypes import dtype_of
from dagir_keras.reading.tensorflow.elementwise import truncate_divide
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import (
    Sizes,
    Tensor,
    cast,
    entries,
    integer,
    ints,
    like,
    product,
    sized,
    tensor,
    value,
)

_ON_SIZES: dict[type[Op], Callable[..., Any]] = {
    ops.ReduceSum: np.sum,
    ops.ReduceProd: np.prod,
    ops.ReduceMax: np.max,
    ops.ReduceMin: np.min,
}


def axes_of(x: Tensor, axis: Any) -> tuple[int, ...]:
    """The axes counted from the front; None is all of them, an empty list is none."""
    return normalize_axes(None if axis is None else list(ints(axis, "axis")), x.ndim)


def _reduced(op: type[Any], x: Tensor, axis: Any, keepdims: bool) -> Tensor:
    axes = axes_of(x, axis)
    known = entries(x) if op in _ON_SIZES else None
    if known is not None and known.size and (op in (ops.ReduceSum, ops.ReduceProd) or not isinstance(x, Sizes)):
        return sized(np.asarray(_ON_SIZES[op](known, axis=axes, keepdims=bool(keepdims)), object), x.dtype)
    return apply(op(axes, bool(keepdims)), value(x))


def mean(x: Tensor, axis: Any, keepdims: bool = False) -> Tensor:
    """The mean; of integers it is rounded towards 0."""
    if x.dtype.is_float:
        return _reduced(ops.ReduceMean, x, axis, keepdims)
    given = value(x)
    if given.dtype not in (DType.INT32, DType.INT64):
        raise Refused(f"its mean is of {given.dtype}, whose sum may not fit")
    count = sized(np.asarray(product([given.type.shape[each] for each in axes_of(given, axis)]), object), given.dtype)
    return truncate_divide(_reduced(ops.ReduceSum, given, axis, keepdims), count)


def total(x: Tensor, axis: Any, keepdims: bool = False) -> Tensor:
    """The sum, in the dtype of x."""
    return _reduced(ops.ReduceSum, x, axis, keepdims)


def largest(x: Tensor, axis: Any, keepdims: bool = False) -> Tensor:
    """The maximum."""
    return _reduced(ops.ReduceMax, x, axis, keepdims)


def _smallest(x: Tensor, axis: Any, keepdims: bool = False) -> Tensor:
    return _reduced(ops.ReduceMin, x, axis, keepdims)


def _product(x: Tensor, axis: Any, keepdims: bool = False) -> Tensor:
    return _reduced(ops.ReduceProd, x, axis, keepdims)


def _all(x: Tensor, axis: Any, keepdims: bool = False) -> Tensor:
    return _reduced(ops.ReduceAll, x, axis, keepdims)


def _any(x: Tensor, axis: Any, keepdims: bool = False) -> Tensor:
    return _reduced(ops.ReduceAny, x, axis, keepdims)


def variance(x: Tensor, axis: Any, keepdims: bool = False) -> Tensor:
    """The mean square deviation."""
    return _reduced(ops.Variance, x, axis, keepdims)


def _deviation(x: Tensor, axis: Any, keepdims: bool = False) -> Tensor:
    return ops.sqrt(value(variance(x, axis, keepdims)))


def _logsumexp(x: Tensor, axis: Any, keepdims: bool = False) -> Tensor:
    return _reduced(ops.ReduceLogSumExp, x, axis, keepdims)


def norm(x: Tensor, axis: Any, keepdims: bool = False) -> Tensor:
    """The Euclidean norm."""
    return ops.sqrt(value(total(ops.square(value(x)), axis, keepdims)))


def _raw(rule: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def reduce(input: Tensor, axis: Tensor, keep_dims: bool = False) -> Tensor:
        return rule(input, axis, keep_dims)

    return reduce


def _of_api(rule: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def reduce(
        input_tensor: Any,
        axis: Any = None,
        keepdims: Any = False,
        reduction_indices: Any = None,
        keep_dims: Any = None,
    ) -> Tensor:
        given = tensor(input_tensor)
        return rule(given, axis if axis is not None else reduction_indices, bool(keepdims or keep_dims))

    return reduce


for _op, _name, _rule in (
    ("Mean", "mean", mean),
    ("Sum", "sum", total),
    ("Max", "max", largest),
    ("Min", "min", _smallest),
    ("Prod", "prod", _product),
    ("All", "all", _all),
    ("Any", "any", _any),
    ("EuclideanNorm", "euclidean_norm", norm),
    (None, "variance", variance),
    (None, "std", _deviation),
    (None, "logsumexp", _logsumexp),
):
    if _op is not None:
        raw(_op)(_raw(_rule))
    function(f"math.reduce_{_name}", f"compat.v1.math.reduce_{_name}", f"compat.v1.reduce_{_name}")(_of_api(_rule))


def _of_keras(rule: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def reduce(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
        given = tensor(x)
        if given.dtype is DType.BOOL and rule not in (_all, _any):
            given = cast(given, DType.FLOAT32)
        elif rule in (_all, _any):
            given = ops.cast(value(given), DType.BOOL)
        return rule(given, axis, keepdims)

    return reduce


for _name, _rule in {
    "mean": mean,
    "sum": total,
    "max": largest,
    "min": _smallest,
    "prod": _product,
    "all": _all,
    "any": _any,
    "var": variance,
    "std": _deviation,
}.items():
    function(f"keras.backend.{_name}")(_of_keras(_rule))


def _place(find: Callable[..., Value], input: Any, axis: Any, output: Any) -> Tensor:
    given = value(tensor(input))
    found = find(given, integer(0 if axis is None else axis, "axis"))
    return ops.cast(found, dtype_of(output))


@raw("ArgMax")
def _raw_argmax(input: Tensor, dimension: Tensor, output_type: Any = DType.INT64) -> Tensor:
    return _place(ops.argmax, input, dimension, output_type)


@raw("ArgMin")
def _raw_argmin(input: Tensor, dimension: Tensor, output_type: Any = DType.INT64) -> Tensor:
    return _place(ops.argmin, input, dimension, output_type)


@function("math.argmax", "compat.v1.argmax", "compat.v1.math.argmax", "compat.v1.arg_max")
def argmax(input: Any, axis: Any = None, output_type: Any = DType.INT64, dimension: Any = None) -> Tensor:
    return _place(ops.argmax, input, axis if axis is not None else dimension, output_type)


@function("math.argmin", "compat.v1.argmin", "compat.v1.math.argmin", "compat.v1.arg_min")
def argmin(input: Any, axis: Any = None, output_type: Any = DType.INT64, dimension: Any = None) -> Tensor:
    return _place(ops.argmin, input, axis if axis is not None else dimension, output_type)


@function("keras.backend.argmax")
def _argmax_of_keras(x: Any, axis: Any = -1) -> Tensor:
    return argmax(x, axis)


@function("keras.backend.argmin")
def _argmin_of_keras(x: Any, axis: Any = -1) -> Tensor:
    return argmin(x, axis)


@function("math.count_nonzero", "compat.v1.math.count_nonzero")
def count_nonzero(
    input: Any = None,
    axis: Any = None,
    keepdims: Any = None,
    dtype: Any = DType.INT64,
    input_tensor: Any = None,
    reduction_indices: Any = None,
    keep_dims: Any = None,
) -> Tensor:
    given = value(tensor(input if input is not None else input_tensor))
    hits = given if given.dtype is DType.BOOL else ops.not_equal(given, like(0, given))
    places = axis if axis is not None else reduction_indices
    return cast(total(ops.cast(hits, DType.INT64), places, bool(keepdims or keep_dims)), dtype_of(dtype))


@function("math.zero_fraction", "nn.zero_fraction")
def _zero_fraction(value: Any) -> Tensor:
    given = tensor(value)
    zeros = ops.cast(ops.equal(_value(given), like(0, given)), DType.FLOAT32)
    return mean(zeros, None)


def _value(data: Tensor) -> Value:
    return value(data)


@raw("L2Loss")
@function("nn.l2_loss")
def _half_of_squares(t: Any) -> Tensor:
    given = value(tensor(t))
    return ops.multiply(value(total(ops.square(given), None)), 0.5)


@function("linalg.global_norm")
def _global_norm(t_list: Any) -> Tensor:
    parts = [value(total(ops.square(value(tensor(each))), None)) for each in t_list]
    return ops.sqrt(ops.sum(ops.stack(parts)))
