"""Comparisons, logic, and the choice by a condition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.graph import Constant, Value
from dagir.ir.types import Array, DType
from dagir.ops.size_tensors import FOLDED
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.data_sizes import places
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import (
    Tensor,
    constant_of,
    entries,
    holds_tensor,
    pair,
    shape_of,
    sized,
    tensor,
    value,
)


def _comparison(in_graph: Callable[[Any, Any], Value], decided: Callable[[Any], Array]) -> Callable[..., Tensor]:
    """A rule that compares sizes while the graph is read, where their difference is known."""

    def rule(x: Tensor, y: Tensor) -> Tensor:
        left, right = entries(x), entries(y)
        if left is not None and right is not None:
            difference = np.asarray(left - right, object)
            if all(type(part) is int for part in difference.flat):
                found: Tensor = tensor(np.asarray(decided(difference.astype(np.int64)), bool))
                return found
        return in_graph(value(x), value(y))

    return rule


equal = raw("Equal")(_comparison(ops.equal, lambda d: d == 0))
not_equal = raw("NotEqual")(_comparison(ops.not_equal, lambda d: d != 0))
less = raw("Less")(_comparison(ops.less, lambda d: d < 0))
less_equal = raw("LessEqual")(_comparison(ops.less_equal, lambda d: d <= 0))
greater = raw("Greater")(_comparison(ops.greater, lambda d: d > 0))
greater_equal = raw("GreaterEqual")(_comparison(ops.greater_equal, lambda d: d >= 0))


def _of_two(rule: Callable[..., Tensor]) -> Callable[[Any, Any], Tensor]:
    return lambda x, y: rule(*pair(x, y))


for _name, _rule in {
    "equal": equal,
    "not_equal": not_equal,
    "less": less,
    "less_equal": less_equal,
    "greater": greater,
    "greater_equal": greater_equal,
}.items():
    function(f"math.{_name}", f"keras.backend.{_name}")(_of_two(_rule))


@function("__operators__.eq")
def _eq(self: Any, other: Any) -> Tensor:
    return equal(*pair(self, other))


@function("__operators__.ne")
def _ne(self: Any, other: Any) -> Tensor:
    return not_equal(*pair(self, other))


@raw("ApproximateEqual")
def approximate_equal(x: Tensor, y: Tensor, tolerance: float = 1e-5) -> Tensor:
    return ops.less(ops.absolute(ops.subtract(value(x), value(y))), tolerance)


def _boolean(data: Any) -> Value:
    found = value(tensor(data))
    if found.dtype is not DType.BOOL:
        raise Refused(f"it takes bool, got {found.dtype}")
    return found


def _of_booleans(op: Callable[..., Value], fold: Callable[..., Any], *operands: Any) -> Tensor:
    """Of constants a constant: whether a graph is for training decides which branches it has."""
    given = [_boolean(each) for each in operands]
    known = [constant_of(each) for each in given]
    if any(each is None or each.size > FOLDED for each in known):
        return op(*given)
    return Constant(np.asarray(fold(*known))).value


@raw("LogicalAnd")
@function("math.logical_and")
def logical_and(x: Any, y: Any) -> Tensor:
    return _of_booleans(ops.logical_and, np.logical_and, x, y)


@raw("LogicalOr")
@function("math.logical_or")
def logical_or(x: Any, y: Any) -> Tensor:
    return _of_booleans(ops.logical_or, np.logical_or, x, y)


@raw("LogicalNot")
@function("math.logical_not")
def logical_not(x: Any) -> Tensor:
    return _of_booleans(ops.logical_not, np.logical_not, x)


@function("math.logical_xor")
def logical_xor(x: Any, y: Any) -> Tensor:
    return ops.logical_xor(_boolean(x), _boolean(y))


@raw("SelectV2")
def select(condition: Tensor, t: Tensor, e: Tensor) -> Tensor:
    """x where the condition holds, else y; all three broadcast."""
    chosen, left, right = constant_of(condition), entries(t), entries(e)
    if chosen is not None and left is not None and right is not None:
        return sized(np.where(chosen, left, right), t.dtype)
    return ops.where(_boolean(condition), value(t), value(e))


@raw("Select")
def select_rows(condition: Tensor, t: Tensor, e: Tensor) -> Tensor:
    """The same without broadcasting: a vector of conditions chooses among rows."""
    rank = len(shape_of(t))
    if len(shape_of(condition)) == 1 and rank > 1:
        condition = ops.reshape(value(condition), (-1, *(1,) * (rank - 1)))
    return select(condition, t, e)


def _choice(rule: Callable[..., Tensor], condition: Any, x: Any, y: Any) -> Tensor:
    if x is None or y is None:
        return places(tensor(condition))
    return rule(tensor(condition), *pair(x, y))


@function("where")
def where(condition: Any, x: Any = None, y: Any = None) -> Tensor:
    return _choice(select, condition, x, y)


@function("compat.v1.where")
def _where_of_1(condition: Any, x: Any = None, y: Any = None) -> Tensor:
    return _choice(select_rows, condition, x, y)


@function("keras.backend.switch")
def _switch(condition: Any, then_expression: Any, else_expression: Any) -> Tensor:
    if not holds_tensor(condition):
        raise Refused("keras.backend.switch takes a tensor as its condition")
    chosen, (x, y) = value(tensor(condition)), pair(then_expression, else_expression)
    rank = len(shape_of(x))
    if chosen.dtype is not DType.BOOL:
        chosen = ops.cast(chosen, DType.BOOL)
    if 0 < chosen.ndim < rank:
        chosen = ops.reshape(chosen, (*chosen.type.shape, *(1,) * (rank - chosen.ndim)))
    return select(chosen, x, y)
