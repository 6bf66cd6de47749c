"""Strategies for branches and loops: bodies of a few ops, nested ones too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from hypothesis import strategies as st

from dagir import ops
from dagir.ir.graph import Graph, Value
from dagir.ir.types import Array, DType, TensorType, type_of
from dagir.testing.cases import OpCase, arrays, strategy_for

Fold: TypeAlias = Callable[[Value, Value], Value]

_FOLDS: tuple[Fold, ...] = (
    lambda a, b: ops.tanh(a) + b * 0.5,
    lambda a, b: ops.maximum(a, b) - 1.0,
    lambda a, b: ops.where(a > b, ops.sin(a), b),
    lambda a, b: a * ops.sigmoid(b),
    lambda a, b: a + ops.mean(b),
    lambda a, b: ops.cond(ops.sum(ops.cast(b > 9.0, "int32")) > 0, lambda: a, lambda: ops.cos(a) + b),
    lambda a, b: ops.fori_loop(0, 2, lambda i, v: v * 0.5 + ops.cast(i, "float32"), a + b),
)
"""From two values of one shape to one; the condition of the nested branch is far from what rounding moves."""


def _folded(draw: st.DrawFn, values: Sequence[Value], like: TensorType) -> Value:
    """A value of the type `like`, of which one of `values` has the shape, from all of them."""
    (result, *others) = [value for value in values if value.type == like] or list(values)
    for other in others or [result]:
        result = draw(st.sampled_from(_FOLDS))(result, other)
    return result


@strategy_for(ops.If)
@st.composite
def if_(draw: st.DrawFn) -> OpCase:
    """Up to three operands of one shape, weights too, one or two outputs; an output may be an operand as it is."""
    shape = draw(st.sampled_from([(2, 3), (1,), (2, 1, 2), ()]))
    given = [draw(arrays(shape, low=-2.0, high=2.0)) for _ in range(draw(st.integers(1, 3)))]
    inputs = [Value(type_of(array), name=f"x{i}") for i, array in enumerate(given)]
    count = draw(st.sampled_from([1, 1, 2]))

    def branch(name: str) -> Graph:
        outputs = [draw(st.sampled_from(inputs)) if draw(st.booleans()) else None for _ in range(count)]
        made = [_folded(draw, inputs, inputs[0].type) if value is None else value for value in outputs]
        return Graph(inputs, made, name)

    op = ops.If(branch("then"), branch("else"))
    weights = frozenset({1}) if draw(st.booleans()) else frozenset[int]()
    return OpCase(op, (np.asarray(draw(st.booleans())), *given), weights)


@strategy_for(ops.Loop)
@st.composite
def loop(draw: st.DrawFn) -> OpCase:
    """Counted, tested, both, and with a known number of steps, of which ys are stacked; none to four iterations."""
    shape = draw(st.sampled_from([(2, 3), (1,), ()]))
    carried = [draw(arrays(shape, low=-1.0, high=1.0)) for _ in range(draw(st.integers(1, 2)))]
    whole = [draw(arrays(shape, low=-1.0, high=1.0)) for _ in range(draw(st.integers(0, 1)))]
    kind = draw(st.sampled_from(["counted", "tested", "both", "known"]))
    tested, limit = kind in ("tested", "both"), draw(st.integers(0, 4))
    body = _loop_body(
        draw, carried, whole, limit if tested else None, draw(st.integers(0, 2)) if kind == "known" else 0
    )
    op = ops.Loop(body, len(carried), tested, (limit,) if kind == "known" else ())
    count = np.asarray(draw(st.integers(0, 4)), np.int64) if kind in ("counted", "both") else None
    start = np.asarray(draw(st.booleans())) if draw(st.booleans()) and kind != "known" else None
    first = 2 + len(carried)
    weights = frozenset(range(first, first + len(whole))) if draw(st.booleans()) else frozenset[int]()
    return OpCase(op, (count, start, *carried, *whole), weights)


def _loop_body(draw: st.DrawFn, carried: Sequence[Array], whole: Sequence[Array], limit: int | None, ys: int) -> Graph:
    iteration = Value(TensorType(DType.INT64, ()), name="iteration")
    state = [Value(type_of(array), name=f"state_{i}") for i, array in enumerate(carried)]
    rest = [Value(type_of(array), name=f"whole_{i}") for i, array in enumerate(whole)]
    place = ops.cast(iteration, "float32") * 0.25
    new = [_folded(draw, [value, *state, *rest], value.type) * 0.5 + place for value in state]
    rows: list[Any] = [draw(st.sampled_from([place, ops.sum(new[0]), state[0], new[-1]])) for _ in range(ys)]
    again = [] if limit is None else [iteration + 1 < limit]
    return Graph([iteration, *state, *rest], [*again, *new, *rows], "body")
