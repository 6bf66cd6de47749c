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
Recurrence: TypeAlias = ops.LSTM | ops.GRU | ops.SimpleRNN | ops.DynamicQuantizeLSTM


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
    units, xw = r.shape[0], _projected(x, w, b)
    r, xw = _signed(op, r, xw)
    z = np.empty((len(x), 4 * units), xw.dtype)
    i, f, g, o = (z[:, start : start + units] for start in range(0, 4 * units, units))
    gate, activated = _gate(op.recurrent_activation, i, f, o), _function(op.activation)

    def step(part: Array, states: States) -> States:
        h, c = states
        np.dot(h, r, out=z)
        np.add(z, part, out=z)
        new = activated(g)
        gate(z)
        np.multiply(new, i, out=new)
        c = f * c
        np.add(c, new, out=c)
        return o * activated(c), c

    return run_steps(op, step, xw, (initial_state(h0, x, r), initial_state(c0, x, r)), mask)


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

    z = np.empty((len(x), 3 * units), x.dtype)
    gates, inner = z[:, : 2 * units], z[:, 2 * units :]
    update, reset = z[:, :units], z[:, units : 2 * units]
    gate, activated = _gate(op.recurrent_activation, update, reset), _function(op.activation)
    first, last = np.ascontiguousarray(r[:, : 2 * units]), np.ascontiguousarray(r[:, 2 * units :])

    def step(part: Array, states: States) -> States:
        (h,) = states
        if op.reset_after:
            np.dot(h, r, out=z)
            np.add(z, state_bias, out=z)
        else:
            gates[...] = h @ first
        np.add(gates, part[:, : 2 * units], out=gates)
        if op.recurrent_activation == "sigmoid":
            np.negative(gates, out=gates)
        gate(gates)
        new = np.multiply(reset, inner) if op.reset_after else (reset * h) @ last
        np.add(new, part[:, 2 * units :], out=new)
        new = activated(new)
        np.multiply(new, 1 - update, out=new)
        np.add(new, update * h, out=new)
        return (new,)

    return run_steps(op, step, _projected(x, w, input_bias), (initial_state(h0, x, r),), mask)


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
    activated = _function(op.activation)

    def step(part: Array, states: States) -> States:
        return (activated(part + states[0] @ r),)

    return run_steps(op, step, _projected(x, w, b), (initial_state(h0, x, r),), mask)


def _function(name: str) -> Callable[[Array], Array]:
    """What makes a new array of the values of a step."""
    op = ACTIVATIONS[name]
    rule = rules[type(op)]
    if name == "linear":
        return np.copy  # the gates are computed in the same array
    return np.tanh if name == "tanh" else lambda x: np.asarray(rule(op, x))


def _signed(op: ops.LSTM, r: Array, xw: Array) -> tuple[Array, Array]:
    """What the gates i, f, o are computed of, negated where they are sigmoids: it costs a rounding nowhere."""
    if op.recurrent_activation != "sigmoid":
        return r, xw
    units = r.shape[0]
    signs = np.repeat(np.asarray([-1, -1, 1, -1], r.dtype), units)
    return r * signs, xw * signs


def _gate(name: str, *gates: Array) -> Callable[[Array], None]:
    """Applies the recurrent activation to the gates in place; sigmoids to the array that holds them, negated."""
    if name == "sigmoid":
        return _sigmoid_of_negated
    function = _function(name)

    def apply(z: Array) -> None:
        for gate in gates:
            gate[...] = function(gate)

    return apply


def _sigmoid_of_negated(z: Array) -> None:
    """1 / (1 + e**z). A gate below the smallest normal number is 0: it is added to what is not."""
    np.exp(z, out=z)
    np.add(z, 1, out=z)
    np.reciprocal(z, out=z)


def _projected(x: Array, w: Array, b: Array | None) -> Array:
    """What the steps read of x, for all steps at once."""
    xw = x @ w
    if b is not None:
        xw += b
    return xw


def initial_state(state: Array | None, x: Array, r: Array) -> Array:
    """The state that is given, or zeros [n, u]."""
    return np.zeros((x.shape[0], r.shape[0]), x.dtype) if state is None else state


def run_steps(op: Recurrence, step: Step, xw: Array, states: States, mask: Array | None) -> States:
    """y in the order of the steps, and the final states. The first state is what a step gives out."""
    batch, steps, _ = xw.shape
    y = np.empty((batch, steps, states[0].shape[1]), xw.dtype)
    out = np.zeros_like(states[0])
    xw, placed = np.ascontiguousarray(xw.swapaxes(0, 1)), y.swapaxes(0, 1)
    for place, t in enumerate(range(steps)[::-1] if op.go_backwards else range(steps)):
        new = step(xw[t], states)
        if mask is None:
            states, out = new, new[0]
        else:
            taken = mask[:, t, None]
            out = np.where(taken, new[0], np.zeros_like(out) if op.zero_output_for_mask else out)
            states = tuple(np.where(taken, now, before) for now, before in zip(new, states, strict=True))
        placed[place] = out
    return (y, *states)
