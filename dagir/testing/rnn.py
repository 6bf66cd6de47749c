"""Strategies for recurrences."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from dagir import ops
from dagir.ir.graph import Graph, Value
from dagir.ir.types import Array, TensorType, type_of
from dagir.ops.scanning import trace_step
from dagir.testing.cases import OpCase, arrays, strategy_for
from dagir.testing.quantization import codes

NATIVE_ACTIVATIONS = ("tanh", "sigmoid", "hard_sigmoid", "relu", "linear", "softsign", "softplus", "elu", "leaky_relu")
"""What ONNX's recurrences know too."""


@st.composite
def masks(draw: st.DrawFn, batch: int, steps: int) -> Array:
    """Masks with gaps, with padding at the start or the end, all True, and with rows that are all False."""
    kind = draw(st.sampled_from(["holes", "right", "left", "full", "empty"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    lengths = rng.integers(0, steps + 1, (batch, 1))
    mask = {
        "holes": rng.random((batch, steps)) < 0.6,
        "right": np.arange(steps) < lengths,
        "left": np.arange(steps) >= lengths,
        "full": np.ones((batch, steps), bool),
        "empty": np.zeros((batch, steps), bool),
    }[kind]
    mask[0] &= draw(st.booleans())
    return mask


@st.composite
def _operands(draw: st.DrawFn, op: Any, bias: tuple[int, ...], units: int) -> OpCase:
    batch, steps, width = draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 2, 5])), draw(st.integers(1, 3))
    columns = op.gates * units

    def maybe(shape: tuple[int, ...]) -> Array | None:
        return draw(st.none() | arrays(shape, low=-1.0, high=1.0))

    x = draw(arrays((batch, steps, width), low=-2.0, high=2.0))
    kernels = [draw(arrays((rows, columns), low=-0.8, high=0.8)) for rows in (width, units)]
    states = [maybe((batch, units)) for _ in range(op.states)]
    mask = draw(st.none() | masks(batch, steps))
    weights = draw(st.sampled_from([frozenset({1, 2, 3}), frozenset[int]()]))
    return OpCase(op, (x, *kernels, maybe(bias), *states, mask), weights)


_FIELDS = {
    "activation": st.sampled_from(["tanh", *NATIVE_ACTIVATIONS]),
    "go_backwards": st.booleans(),
    "zero_output_for_mask": st.booleans(),
}
_GATE = st.sampled_from(["sigmoid", "sigmoid", "hard_sigmoid", "softsign"])


@strategy_for(ops.LSTM)
@st.composite
def lstm(draw: st.DrawFn) -> OpCase:
    """With and without each optional operand, in both directions, with any mask."""
    units = draw(st.integers(1, 4))
    op = draw(st.builds(ops.LSTM, recurrent_activation=_GATE, **_FIELDS))
    return draw(_operands(op, (4 * units,), units))


@strategy_for(ops.DynamicQuantizeLSTM)
@st.composite
def dynamic_quantize_lstm(draw: st.DrawFn) -> OpCase:
    """One step of one row whose numbers are codes themselves, so that no rounding decides between two."""
    units, width = draw(st.integers(1, 4)), draw(st.integers(2, 3))
    fields = {key: field for key, field in _FIELDS.items() if key != "zero_output_for_mask"}
    op = draw(st.builds(ops.DynamicQuantizeLSTM, recurrent_activation=_GATE, **fields))
    rows = [draw(arrays((1, size), "int32", 0, 255)).astype(np.float32) for size in (width, units)]
    for row in rows:
        row[0, 0] = 255
    kernels, factors = [], []
    for size in (width, units):
        dtype = draw(st.sampled_from(("int8", "uint8")))
        kernels.append(
            np.clip(draw(codes((size, 4 * units), dtype)), -64, 64 if dtype == "int8" else 255).astype(dtype)
        )
        shape, zero = ((4 * units,), st.integers(0, 3)) if draw(st.booleans()) else ((), st.just(3))
        factors += [
            np.exp2(draw(arrays(shape, "int32", -18, -14))).astype(np.float32),
            np.full(shape, draw(zero), dtype),
        ]
    b, c0 = (draw(st.none() | arrays(shape, low=-1.0, high=1.0)) for shape in ((4 * units,), (1, units)))
    mask = draw(st.none() | masks(1, 1))
    stored = draw(st.sampled_from([frozenset({1, 2, 3, *range(7, 11)}), frozenset[int]()]))
    return OpCase(op, (rows[0][None] / 256, *kernels, b, rows[1] / 256, c0, mask, *factors), stored)


@strategy_for(ops.GRU)
@st.composite
def gru(draw: st.DrawFn) -> OpCase:
    """As for LSTM, with the reset gate before and after the product."""
    units = draw(st.integers(1, 4))
    op = draw(st.builds(ops.GRU, recurrent_activation=_GATE, reset_after=st.booleans(), **_FIELDS))
    return draw(_operands(op, (2, 3 * units) if op.reset_after else (3 * units,), units))


@strategy_for(ops.SimpleRNN)
@st.composite
def simple_rnn(draw: st.DrawFn) -> OpCase:
    """As for LSTM."""
    units = draw(st.integers(1, 4))
    op = draw(st.builds(ops.SimpleRNN, **_FIELDS))
    return draw(_operands(op, (units,), units))


def _body(states: list[TensorType], steps: list[TensorType], whole: TensorType | None) -> Graph:
    """A body that combines all its inputs; its output is as wide as the first step, or as the input read whole."""
    kept = None if whole is None else Value(whole, name="whole")

    def step(parts: list[Value], before: list[Value]) -> tuple[Value, list[Value]]:
        mixed = ops.tanh(parts[0]) if kept is None else ops.tanh(ops.matmul(parts[0], kept))
        for part in (*parts[1:], *before):
            mixed = mixed + ops.sum(part, axis=-1, keepdims=True) * 0.5
        return mixed, [ops.sin(state) + mixed[:, :1] for state in before]

    return trace_step(step, states, steps, "mix")


@strategy_for(ops.Scan)
@st.composite
def scan(draw: st.DrawFn) -> OpCase:
    """Up to two states and two sequences, with and without a mask and an input that each step reads whole."""
    batch, steps = draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 2, 5]))
    states = [draw(arrays((batch, size), low=-1.0, high=1.0)) for size in draw(st.lists(st.integers(1, 3), max_size=2))]
    widths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=2))
    sequences = [draw(arrays((batch, steps, width), low=-2.0, high=2.0)) for width in widths]
    whole = draw(st.none() | arrays((widths[0], 3), low=-1.0, high=1.0))
    mask = draw(st.none() | masks(batch, steps))
    parts = [type_of(x).with_shape((batch, *x.shape[2:])) for x in sequences]
    body = _body([type_of(state) for state in states], parts, None if whole is None else type_of(whole))
    op = ops.Scan(body, len(states), len(sequences), draw(st.booleans()), draw(st.booleans()))
    given = [*states, *sequences, *([] if whole is None else [whole])]
    weights = frozenset({len(given) - 1}) if whole is not None and draw(st.booleans()) else frozenset[int]()
    return OpCase(op, (*given, mask) if mask is not None else tuple(given), weights)


@strategy_for(ops.Bidirectional)
@st.composite
def bidirectional(draw: st.DrawFn) -> OpCase:
    """Each kind, with separate activations for each direction, any mask, and biases and states for both or neither."""
    kind, units = draw(st.sampled_from(["LSTM", "GRU", "SimpleRNN"])), draw(st.integers(1, 3))
    names = st.sampled_from(["tanh", "tanh", *NATIVE_ACTIVATIONS])
    op = ops.Bidirectional(
        kind, draw(st.tuples(names, names)), draw(st.tuples(_GATE, _GATE)), draw(st.booleans()), draw(st.booleans())
    )
    batch, steps, width = draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 2, 5])), draw(st.integers(1, 3))
    columns, biased, stated = op.ways[0].gates * units, draw(st.booleans()), draw(st.booleans())
    bias = (2, columns) if kind == "GRU" and op.reset_after else (columns,)
    weights: list[Array | None] = []
    for way in op.ways:
        weights += [draw(arrays((rows, columns), low=-0.8, high=0.8)) for rows in (width, units)]
        weights.append(draw(arrays(bias, low=-1.0, high=1.0)) if biased else None)
        weights += [draw(arrays((batch, units), low=-1.0, high=1.0)) if stated else None for _ in range(way.states)]
    x, mask = draw(arrays((batch, steps, width), low=-2.0, high=2.0)), draw(st.none() | masks(batch, steps))
    each = len(weights) // 2
    held = frozenset(place + 2 for place in range(2 * each) if place % each < 3)
    return OpCase(op, (x, mask, *weights), draw(st.sampled_from([held, frozenset[int]()])))
