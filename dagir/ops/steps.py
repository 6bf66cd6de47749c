"""One step of each recurrence, and the recurrences as a Scan over that step, for targets that lack the op."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from dagir.ir.graph import Graph, Value, apply
from dagir.ir.types import TensorType
from dagir.ops.creation import zeros
from dagir.ops.indexing import getitem
from dagir.ops.linear import matmul
from dagir.ops.rnn import ACTIVATIONS, GRU, LSTM, SimpleRNN, _Recurrence
from dagir.ops.scanning import scan

Activation: TypeAlias = Callable[[Value], Value]


def lstm_step(
    xw: Value, h: Value, c: Value, r: Value, activation: Activation, recurrent_activation: Activation
) -> tuple[Value, list[Value]]:
    """xw: f[n,4u], x @ w + b; h, c: f[n,u]; r: f[u,4u] -> h, [h, c].  keras.layers.LSTMCell."""
    return lstm_state(xw + matmul(h, r), c, activation, recurrent_activation)


def lstm_state(
    z: Value, c: Value, activation: Activation, recurrent_activation: Activation
) -> tuple[Value, list[Value]]:
    """z: f[n,4u], what the gates are computed of; c: f[n,u] -> h, [h, c]."""
    i, f, g, o = _split(z, 4)
    c = recurrent_activation(f) * c + recurrent_activation(i) * activation(g)
    h = recurrent_activation(o) * activation(c)
    return h, [h, c]


def gru_step(
    xw: Value,
    h: Value,
    r: Value,
    state_bias: Value | None,
    activation: Activation,
    recurrent_activation: Activation,
    reset_after: bool,
) -> tuple[Value, list[Value]]:
    """xw: f[n,3u], x @ w + b; h: f[n,u]; r: f[u,3u]; state_bias: f[3u]? of h @ r -> h, [h].  keras.layers.GRUCell."""
    units = r.type.shape[0]
    x_z, x_r, x_h = _split(xw, 3)
    if reset_after:
        hr = matmul(h, r)
        h_z, h_r, h_h = _split(hr if state_bias is None else hr + state_bias, 3)
    else:
        h_z, h_r = _split(matmul(h, getitem(r, (slice(None), slice(0, 2 * units)))), 2)
    update, reset = recurrent_activation(x_z + h_z), recurrent_activation(x_r + h_r)
    last = None if reset_after else getitem(r, (slice(None), slice(2 * units, None)))
    inner = reset * h_h if last is None else matmul(reset * h, last)
    h = update * h + (1.0 - update) * activation(x_h + inner)
    return h, [h]


def simple_rnn_step(xw: Value, h: Value, r: Value, activation: Activation) -> tuple[Value, list[Value]]:
    """xw: f[n,u], x @ w + b; h: f[n,u]; r: f[u,u] -> h, [h].  keras.layers.SimpleRNNCell."""
    h = activation(xw + matmul(h, r))
    return h, [h]


def _split(x: Value, parts: int) -> list[Value]:
    """Equal parts of the last axis."""
    size = x.type.shape[-1] // parts
    return [getitem(x, (..., slice(i * size, (i + 1) * size))) for i in range(parts)]


def named(activation: str) -> Activation:
    """The function for the name in a field of a recurrence."""
    return partial(apply, ACTIVATIONS[activation])


def as_scan(op: _Recurrence, types: Sequence[TensorType | None]) -> Graph:
    """The recurrence as x @ w + b for all steps at once, then a Scan. The inputs are the operands that are given."""
    given = [None if type is None else Value(type, name=op.operands[i]) for i, type in enumerate(types)]
    x, w, r, b, *rest = given + [None] * (5 + op.states - len(given))
    assert x is not None
    assert w is not None
    assert r is not None
    states, mask = rest[: op.states], rest[op.states]
    both = b is not None and b.ndim == 2
    xw, step = matmul(x, w), _step(op, r, getitem(b, 1) if b is not None and both else None)
    if b is not None:
        xw = xw + (getitem(b, 0) if both else b)
    blank = zeros((x.type.shape[0], r.type.shape[0]), x.dtype)
    y, finals = scan(
        lambda steps, before: step(steps[0], *before),
        [blank if state is None else state for state in states],
        [xw],
        mask,
        go_backwards=op.go_backwards,
        zero_output_for_mask=op.zero_output_for_mask,
        name=op.op_name,
    )
    return Graph([value for value in given if value is not None], [y, *finals], op.op_name)


def _step(op: _Recurrence, r: Value, state_bias: Value | None) -> Callable[..., tuple[Value, list[Value]]]:
    activation = named(op.activation)
    if isinstance(op, LSTM):
        gate = named(op.recurrent_activation)
        return lambda xw, h, c: lstm_step(xw, h, c, r, activation, gate)
    if isinstance(op, GRU):
        gate, after = named(op.recurrent_activation), op.reset_after
        return lambda xw, h: gru_step(xw, h, r, state_bias, activation, gate, after)
    assert isinstance(op, SimpleRNN)
    return lambda xw, h: simple_rnn_step(xw, h, r, activation)


__all__ = ["as_scan", "gru_step", "lstm_state", "lstm_step", "named", "simple_rnn_step"]
