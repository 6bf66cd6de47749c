"""Scan: a loop over time steps, each of which runs the body."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir_numpy.rules import Bodies, rules
from dagir_numpy.run_sizes import none_of


@rules.rule(ops.Scan)
def scan(op: ops.Scan, *xs: Array) -> Bodies:
    given = len(op.body.inputs)
    last = op.states + op.sequences
    states, sequences, rest = list(xs[: op.states]), xs[op.states : last], xs[last:given]
    mask = xs[given] if op.is_masked(len(xs)) else None
    batch, steps = sequences[0].shape[:2]
    if not steps:
        blank = [np.zeros((batch, *x.shape[2:]), x.dtype) for x in sequences]
        return [*none_of(op.body.outputs[: op.outputs], op.body, [*states, *blank, *rest], axis=1), *states]
    ys: list[Sequence[Array]] = []
    for t in range(steps)[::-1] if op.go_backwards else range(steps):
        results = yield op.body, [*states, *(x[:, t] for x in sequences), *rest]
        outs, new = list(results[: op.outputs]), list(results[op.outputs :])
        if mask is not None:
            repeat = bool(ys) and not op.zero_output_for_mask
            outs = _where(mask[:, t], outs, ys[-1] if repeat else [np.zeros_like(out) for out in outs])
            new = _where(mask[:, t], new, states)
        ys.append(outs)
        states = new
    return [*(np.stack(y, axis=1) for y in zip(*ys, strict=True)), *states]


def _where(taken: Array, new: Sequence[Array], old: Sequence[Array]) -> list[Array]:
    """`new` in the rows that are taken, `old` in the others."""
    rows = [taken.reshape(-1, *(1,) * (array.ndim - 1)) for array in new]
    return [np.where(row, a, b) for row, a, b in zip(rows, new, old, strict=True)]
