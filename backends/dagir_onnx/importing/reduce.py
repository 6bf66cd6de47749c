"""Reductions along axes."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import numpy as np

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import DType, normalize_axes
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import Rule, rule
from dagir_onnx.importing.tensors import constant

Reduction = Callable[..., Value]


def _reduction(function: Reduction, before: Callable[[Value], Value], after: Callable[[Value], Value]) -> Rule:
    """A reduction of `before` of each element, and `after` of the result, which hold even where nothing is reduced."""

    def apply(call: NodeCall) -> Value:
        x = call.input(0)
        axes = call.axes()
        keepdims = bool(call.attribute("keepdims", 1))
        if axes is None and call.attribute("noop_with_empty_axes", 0):
            return after(before(x))
        given = before(x)
        return after(function(given, axis=None if axes is None else list(axes), keepdims=keepdims))

    return apply


def _same(x: Value) -> Value:
    return x


def _mean(x: Value, axis: list[int] | None, keepdims: bool) -> Value:
    """Of integers in float64, for float32 has not all of them; rounded towards 0."""
    if x.dtype.is_float:
        return ops.mean(x, axis, keepdims)
    return ops.cast(ops.mean(ops.cast(x, DType.FLOAT64), axis, keepdims), x.dtype)


def _sum(x: Value, axis: list[int] | None, keepdims: bool) -> Value:
    return ops.sum(x, axis, keepdims)


def _or_without_elements(number: float, function: Reduction) -> Reduction:
    """A reduction whose result, where it reduces no elements, is a number: the end of the range that it starts from."""

    def apply(x: Value, axis: list[int] | None, keepdims: bool) -> Value:
        axes = normalize_axes(axis, x.ndim)
        if all(x.type.shape[each] != 0 for each in axes):
            return function(x, axis, keepdims)
        sizes = [1 if place in axes else size for place, size in enumerate(x.type.shape)]
        shape = sizes if keepdims else [size for place, size in enumerate(sizes) if place not in axes]
        if x.dtype is DType.BOOL:
            return ops.full(shape, number > 0, x.dtype)
        if x.dtype.is_float:
            return ops.full(shape, number, x.dtype)
        limits = np.iinfo(x.dtype.numpy)
        return ops.full(shape, constant(np.asarray(limits.max if number > 0 else limits.min, x.dtype.numpy)), x.dtype)

    return apply


def _largest(x: Value, axis: list[int] | None, keepdims: bool) -> Value:
    return (ops.any if x.dtype is DType.BOOL else ops.max)(x, axis, keepdims)


def _smallest(x: Value, axis: list[int] | None, keepdims: bool) -> Value:
    return (ops.all if x.dtype is DType.BOOL else ops.min)(x, axis, keepdims)


def _through_floats(function: Callable[[Value], Value]) -> Callable[[Value], Value]:
    """A function of floats on integers too, whose results ONNX gives as integers."""

    def apply(x: Value) -> Value:
        return function(x) if x.dtype.is_float else ops.cast(function(ops.cast(x, DType.FLOAT64)), x.dtype)

    return apply


def _log_sum_exp(x: Value, axis: list[int] | None, keepdims: bool) -> Value:
    if x.dtype.is_float:
        return ops.logsumexp(x, axis, keepdims)
    return ops.cast(ops.logsumexp(ops.cast(x, DType.FLOAT64), axis, keepdims), x.dtype)


for _name, _parts in {
    "ReduceMean": (_mean, _same, _same),
    "ReduceSum": (_sum, _same, _same),
    "ReduceProd": (ops.prod, _same, _same),
    "ReduceMax": (_or_without_elements(-inf, _largest), _same, _same),
    "ReduceMin": (_or_without_elements(inf, _smallest), _same, _same),
    "ReduceL1": (_sum, ops.absolute, _same),
    "ReduceL2": (_sum, ops.square, _through_floats(ops.sqrt)),
    "ReduceLogSum": (_sum, _same, _through_floats(ops.log)),
    "ReduceLogSumExp": (_or_without_elements(-inf, _log_sum_exp), _same, _same),
    "ReduceSumSquare": (_sum, ops.square, _same),
}.items():
    rule(_name)(_reduction(*_parts))


@rule("CumSum")
def _cumsum(call: NodeCall) -> Value:
    return _cumulative(call, ops.cumsum, 0)


@rule("CumProd")
def _cumprod(call: NodeCall) -> Value:
    return _cumulative(call, ops.cumprod, 1)


def _cumulative(call: NodeCall, function: Callable[..., Value], start: int) -> Value:
    """Running totals along an axis. exclusive: of the elements before each; reverse: from the end."""
    x = call.input(0)
    (axis,) = call.ints(1, "axis")
    axis = axis + x.ndim if axis < 0 else axis
    given = ops.flip(x, axis) if call.attribute("reverse", 0) else x
    if call.attribute("exclusive", 0):
        keys = [slice(None)] * x.ndim
        keys[axis] = slice(0, -1)
        first = ops.full((*x.type.shape[:axis], 1, *x.type.shape[axis + 1 :]), start, x.dtype)
        given = ops.concatenate([first, given[tuple(keys)]], axis)
    found = function(given, axis)
    return ops.flip(found, axis) if call.attribute("reverse", 0) else found
