"""Recurrences: a loop over time steps, all else vectorised."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir.ops.rnn import ACTIVATIONS
from dagir_numpy.rules import rules

States: TypeAlias = tuple[Array, ...]
Step: TypeAlias = Callable[[Array, States], States]
Recurrence: TypeAlias = ops.LSTM | ops.GRU | ops.SimpleRNN


@rules.rule(ops.LSTM)
def lstm(
    op: ops.LSTM,
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    h0: Array | None = None,
    c0: Array | None = None,
    mask: Array | None = None,
) -> States:
    def step(xw: Array, states: States) -> States:
        h, c = states
        i, f, g, o = np.split(xw + h @ r, 4, axis=1)
        c = _recurrent(op, f) * c + _recurrent(op, i) * _activated(op.activation, g)
        return _recurrent(op, o) * _activated(op.activation, c), c

    return _run(op, step, _projected(x, w, b), (_initial(h0, x, r), _initial(c0, x, r)), mask)


@rules.rule(ops.GRU)
def gru(
    op: ops.GRU,
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    h0: Array | None = None,
    mask: Array | None = None,
) -> States:
    units = r.shape[0]
    both = b is not None and op.reset_after
    input_bias, state_bias = (b[0], b[1]) if both else (b, x.dtype.type(0))  # type: ignore[index]

    def step(xw: Array, states: States) -> States:
        (h,) = states
        x_z, x_r, x_h = np.split(xw, 3, axis=1)
        if op.reset_after:
            h_z, h_r, h_h = np.split(h @ r + state_bias, 3, axis=1)
        else:
            h_z, h_r = np.split(h @ r[:, : 2 * units], 2, axis=1)
        update, reset = _recurrent(op, x_z + h_z), _recurrent(op, x_r + h_r)
        inner = reset * h_h if op.reset_after else (reset * h) @ r[:, 2 * units :]
        return (update * h + (1 - update) * _activated(op.activation, x_h + inner),)

    return _run(op, step, _projected(x, w, input_bias), (_initial(h0, x, r),), mask)


@rules.rule(ops.SimpleRNN)
def simple_rnn(
    op: ops.SimpleRNN,
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    h0: Array | None = None,
    mask: Array | None = None,
) -> States:
    def step(xw: Array, states: States) -> States:
        return (_activated(op.activation, xw + states[0] @ r),)

    return _run(op, step, _projected(x, w, b), (_initial(h0, x, r),), mask)


def _activated(name: str, x: Array) -> Array:
    op = ACTIVATIONS[name]
    return rules[type(op)](op, x)


def _recurrent(op: ops.LSTM | ops.GRU, x: Array) -> Array:
    return _activated(op.recurrent_activation, x)


def _projected(x: Array, w: Array, b: Array | None) -> Array:
    """What the steps read of x, for all steps at once."""
    xw = x @ w
    return xw if b is None else xw + b


def _initial(state: Array | None, x: Array, r: Array) -> Array:
    return np.zeros((x.shape[0], r.shape[0]), x.dtype) if state is None else state


def _run(op: Recurrence, step: Step, xw: Array, states: States, mask: Array | None) -> States:
    """y in the order of the steps, and the final states. The first state is what a step gives out."""
    batch, steps, _ = xw.shape
    y = np.zeros((batch, steps, states[0].shape[1]), xw.dtype)
    out = np.zeros_like(states[0])
    for place, t in enumerate(range(steps)[::-1] if op.go_backwards else range(steps)):
        new = step(xw[:, t], states)
        if mask is None:
            states, out = new, new[0]
        else:
            taken = mask[:, t, None]
            out = np.where(taken, new[0], np.zeros_like(out) if op.zero_output_for_mask else out)
            states = tuple(np.where(taken, now, before) for now, before in zip(new, states, strict=True))
        y[:, place] = out
    return (y, *states)
