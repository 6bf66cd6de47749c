"""Scan: a loop over time steps, each of which evaluates the body."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dagir import ops
from dagir.ir.types import Array, DType
from dagir_numpy.interpreter import evaluate
from dagir_numpy.rules import rules


@rules.rule(ops.Scan)
def scan(op: ops.Scan, *xs: Array) -> tuple[Array, ...]:
    given = len(op.body.inputs)
    last = op.states + op.sequences
    states, sequences, rest = list(xs[: op.states]), xs[op.states : last], xs[last:given]
    mask = xs[given] if op.is_masked(len(xs)) else None
    precision = _precision(op, xs)
    batch, steps = sequences[0].shape[:2]
    if not steps:
        return (*_empty(op, xs, batch, precision), *states)
    ys: list[list[Array]] = []
    for t in range(steps)[::-1] if op.go_backwards else range(steps):
        results = evaluate(op.body, [*states, *(x[:, t] for x in sequences), *rest], precision)
        outs, new = results[: op.outputs], results[op.outputs :]
        if mask is not None:
            repeat = bool(ys) and not op.zero_output_for_mask
            outs = _where(mask[:, t], outs, ys[-1] if repeat else [np.zeros_like(out) for out in outs])
            new = _where(mask[:, t], new, states)
        ys.append(outs)
        states = new
    return (*(np.stack(y, axis=1) for y in zip(*ys, strict=True)), *states)


def _where(taken: Array, new: Sequence[Array], old: Sequence[Array]) -> list[Array]:
    """`new` in the rows that are taken, `old` in the others."""
    rows = [taken.reshape(-1, *(1,) * (array.ndim - 1)) for array in new]
    return [np.where(row, a, b) for row, a, b in zip(rows, new, old, strict=True)]


def _precision(op: ops.Scan, xs: Sequence[Array]) -> DType | None:
    """What the floats are computed in, where that is not their own dtype: the operands tell."""
    for value, array in zip(op.body.inputs, xs, strict=False):
        if value.dtype.is_float and array.dtype != value.dtype.numpy:
            return DType.of(array.dtype)
    return None


def _empty(op: ops.Scan, xs: Sequence[Array], batch: int, precision: DType | None) -> list[Array]:
    """The outputs over no step."""
    last = op.states + op.sequences
    blank = [np.zeros((batch, *x.shape[2:]), x.dtype) for x in xs[op.states : last]]
    results = evaluate(op.body, [*xs[: op.states], *blank, *xs[last : len(op.body.inputs)]], precision)
    return [np.zeros((batch, 0, *result.shape[1:]), result.dtype) for result in results[: op.outputs]]
