"""Recurrences: a loop over time steps, all else vectorised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir.ops.rnn import ACTIVATIONS
from dagir_numpy.rules import rules

States: TypeAlias = tuple[Array, ...]
Step: TypeAlias = Callable[[Array, States, Array], States]  # what is read of x, the states, where to write the first
Into: TypeAlias = Callable[[Array, Array], object]  # what is read, where to write
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
    units, xw, width = r.shape[0], _projected(x, w, b), 2 * r.shape[0]
    z = np.empty((len(x), 2 * width), xw.dtype)
    values, scaled = np.empty((len(x), width), xw.dtype), np.empty((len(x), width), xw.dtype)
    new, kept = values[:, :units], values[:, units:]
    added, left = scaled[:, :units], scaled[:, units:]
    by_gate, (i, f, g, o) = z[:, :width], np.split(z, 4, axis=1)
    turned = op.recurrent_activation == "sigmoid" and op.activation == "tanh"  # made of -z; tanh is odd
    join, xw = (np.subtract, np.negative(xw, out=xw)) if turned else (np.add, xw)
    gate, activate = _gate(op.recurrent_activation, z, (i, f, o), turned), _into(op.activation)

    def step(part: Array, states: States, out: Array) -> States:
        h, c = states
        if c is not kept:
            kept[...] = c
        np.dot(h, r, z)  # each writes into its last argument; passed by name, that takes a tenth of the loop
        join(part, z, z)
        activate(g, new)
        gate(z)
        np.multiply(values, by_gate, scaled)
        join(left, added, kept)
        activate(kept, out)
        np.multiply(out, o, out)
        return out, kept

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
    gate, activated = _gate(op.recurrent_activation, gates, (update, reset)), _function(op.activation)
    first, last = np.ascontiguousarray(r[:, : 2 * units]), np.ascontiguousarray(r[:, 2 * units :])

    def step(part: Array, states: States, out: Array) -> States:
        (h,) = states
        if op.reset_after:
            np.dot(h, r, out=z)
            np.add(z, state_bias, out=z)
        else:
            gates[...] = h @ first
        np.add(gates, part[:, : 2 * units], out=gates)
        gate(gates)
        new = np.multiply(reset, inner) if op.reset_after else (reset * h) @ last
        np.add(new, part[:, 2 * units :], out=new)
        new = activated(new)
        np.multiply(new, 1 - update, out=new)
        np.add(new, update * h, out=out)
        return (out,)

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
    activate = _into(op.activation)

    def step(part: Array, states: States, out: Array) -> States:
        activate(part + states[0] @ r, out)
        return (out,)

    return run_steps(op, step, _projected(x, w, b), (initial_state(h0, x, r),), mask)


def _function(name: str) -> Callable[[Array], Array]:
    """What makes a new array of the values of a step."""
    op = ACTIVATIONS[name]
    rule = rules[type(op)]
    if name == "linear":
        return np.copy  # the gates are computed in the same array
    return np.tanh if name == "tanh" else lambda x: np.asarray(rule(op, x))


def _into(name: str) -> Into:
    """What writes the function of an array into another."""
    if name == "tanh":
        return np.tanh
    function = _function(name)

    def write(x: Array, out: Array) -> None:
        out[...] = function(x)

    return write


def _gate(name: str, z: Array, gates: Sequence[Array], turned: bool = False) -> Callable[[Array], None]:
    """Applies the recurrent activation to the gates, parts of z, in place. turned: z is of the other sign."""
    if name == "sigmoid":
        one = np.ones_like(z)  # with an array NumPy takes half as long as with a number
        return lambda z: _sigmoid(z, one, turned)
    function = _function(name)

    def apply(z: Array) -> None:
        for gate in gates:
            gate[...] = function(gate)

    return apply


def _sigmoid(z: Array, one: Array, turned: bool) -> None:
    """1 / (1 + e**-z). A gate below the smallest normal number is 0: it is added to what is not."""
    if not turned:
        np.negative(z, z)
    np.exp(z, z)
    np.add(z, one, z)
    np.reciprocal(z, z)


def _projected(x: Array, w: Array, b: Array | None) -> Array:
    """What the steps read of x, for all steps at once, those first: f[t, n, k]."""
    batch, steps, size = x.shape
    xw = x.swapaxes(0, 1).reshape(steps * batch, size) @ w
    if b is not None:
        xw += b
    return xw.reshape(steps, batch, w.shape[1])


def initial_state(state: Array | None, x: Array, r: Array) -> Array:
    """The state that is given, or zeros [n, u]."""
    return np.zeros((x.shape[0], r.shape[0]), x.dtype) if state is None else state


def run_steps(op: Recurrence, step: Step, xw: Array, states: States, mask: Array | None) -> States:
    """y in the order of the steps, and the final states. The first state is what a step gives out. xw: f[t, n, k]."""
    y = np.empty((*xw.shape[:2], states[0].shape[1]), xw.dtype)
    direction = -1 if op.go_backwards else 1
    if mask is None:
        for part, out in zip(xw[::direction], y, strict=True):
            states = step(part, states, out)
    else:
        states = _masked_steps(op, step, (xw[::direction], mask.T[::direction]), states, y)
    return (y.swapaxes(0, 1), states[0].copy(), *states[1:])


def _masked_steps(op: Recurrence, step: Step, read: tuple[Array, Array], states: States, y: Array) -> States:
    """Write y; where the mask of a step is False, the states stay, and what was given out last is given out again."""
    last = np.zeros_like(states[0])
    for part, mask, out in zip(*read, y, strict=True):
        taken, new = mask[:, None], step(part, states, out)
        states = tuple(np.where(taken, now, before) for now, before in zip(new, states, strict=True))
        last = out[...] = np.where(taken, out, np.zeros_like(out) if op.zero_output_for_mask else last)
    return states
