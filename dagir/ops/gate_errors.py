"""Rounding of gates: what is left of a large state behind a gate that is next to closed."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np

from dagir.ir.rounding import Arrays, Disturbed
from dagir.ir.types import Array, DType

_STATES = 4  # the place of the first state: x, w, r and b come before
_STEP = 2.0**-12  # for a slope
_LARGE = 8.0  # below, the share of eps that every result of a recurrence gets is as much


def let_through(op: Any, at: Disturbed) -> Array:
    """The result with what gates let through wrongly.

    Kernels approximate a gate to a share of eps of 1, also where it is 1e-9: of a state of 100 before it, that share
    of 100 comes through. Noise on what is read does not show it, so here the steps run one by one, and each state gets
    that share of the state before it.
    """
    states = at.operands[_STATES : _STATES + op.states]
    if not any(state is not None and state.size and np.abs(state).max() > _LARGE for state in states):
        return at.result
    clean = at.apply(at.operands, DType.FLOAT64)[at.place]
    return np.asarray(at.result + (_step_by_step(op, at)[at.place] - clean))


def _step_by_step(op: Any, at: Disturbed) -> list[Array]:
    """y and the final states, with the errors."""
    x, mask = at.operands[0], at.operands[-1] if len(at.operands) > _STATES + op.states else None
    assert x is not None
    states: Arrays = at.operands[_STATES : _STATES + op.states]
    steps = range(x.shape[1])
    ys: dict[int, Array] = {}
    last: Array | float = 0.0
    for step in reversed(steps) if op.go_backwards else steps:
        own = None if mask is None else mask[:, step : step + 1]
        operands = [x[:, step : step + 1], *at.operands[1:_STATES], *states, own]
        y, *after = at.apply(operands[: len(at.operands)], DType.FLOAT64)
        runs = np.ones((len(x), 1), bool) if own is None else own
        errors = [_error(before, runs, at) for before in states]
        if op.states == 1 and states[0] is not None:
            errors = [errors[0] + _by_reset(op, at, operands, after[0]) * runs]
        states, moved = _with(op, after, errors)
        y = y[:, 0] + moved
        last = np.where(runs, y, 0.0 if op.zero_output_for_mask else last)
        ys[step] = last
    order = reversed(steps) if op.go_backwards else steps
    return [np.stack([ys[step] for step in order], axis=1), *[each for each in states if each is not None]]


def _error(before: Array | None, runs: Array, at: Disturbed) -> Array | float:
    if before is None:
        return 0.0
    numbers = (at.rng.random(before.shape) - 0.5) * sqrt(12)
    return np.where(runs, 0.5 * at.eps * np.abs(before) * numbers, 0.0)


def _by_reset(op: Any, at: Disturbed, operands: Sequence[Array | None], after: Array) -> Array:
    """Of a GRU: what its reset gate lets through reaches the candidate, and the state by the slope there."""
    state, recurrent, bias = operands[_STATES], operands[2], operands[3]
    assert state is not None
    assert recurrent is not None
    units = state.shape[-1]
    kernel = recurrent[:, 2 * units :]
    size = np.abs(state @ kernel) if op.reset_after else np.abs(state) @ np.abs(kernel)
    shape = (2, 3 * units) if op.reset_after else (3 * units,)
    further = np.zeros(shape) if bias is None else bias.astype(np.float64)
    further.reshape(-1, 3 * units)[0, 2 * units :] += _STEP
    beyond = at.apply([*operands[:3], further, *operands[_STATES:]], DType.FLOAT64)[1]
    numbers = (at.rng.random(state.shape) - 0.5) * sqrt(12)
    return np.asarray((beyond - after) / _STEP * 0.5 * at.eps * size * numbers)


def _with(op: Any, after: Sequence[Array], errors: Sequence[Array | float]) -> tuple[Arrays, Array | float]:
    """The states after a step with their errors, and what the output of the step moves by."""
    if op.states == 1:
        return [after[0] + errors[0]], errors[0]
    hidden, cell = after  # an output gate times the activation of the cell's state
    flat = np.tanh(cell) if op.activation == "tanh" else cell
    further = np.tanh(cell + errors[1]) if op.activation == "tanh" else cell + errors[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = np.where(flat == 0, 0.0, hidden / flat * (further - flat))
    return [hidden + moved, cell + errors[1]], moved
