"""Recurrences as one op: cuDNN's, which Keras calls where a GPU is, and the blocks of TensorFlow 1's fused cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.graph import Value
from dagir.ir.types import DType
from dagir.ops.scanning import scan
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.lengths import is_whole
from dagir_keras.reading.tensorflow.registry import raw
from dagir_keras.reading.tensorflow.tensors import Tensor, entries, value

_GATES = {"lstm": 4, "gru": 3, "rnn_relu": 1, "rnn_tanh": 1}


# ---- cuDNN


@raw("CudnnRNNV3")
def cudnn_rnn(
    input: Tensor,
    input_h: Tensor,
    input_c: Tensor,
    params: Tensor,
    sequence_lengths: Tensor,
    rnn_mode: str = "lstm",
    input_mode: str = "linear_input",
    direction: str = "unidirectional",
    dropout: float = 0.0,
    seed: int = 0,
    seed2: int = 0,
    num_proj: int = 0,
    is_training: bool = True,
    time_major: bool = True,
) -> tuple[Tensor | None, ...]:
    """x f[t, n, i], or f[n, t, i], h and c f[1, n, u], or f[n, 1, u] -> y, h, c: one layer of one direction.

    params: the kernels, those of the states and both biases, gate by gate, each kernel transposed. A row ends at its
    length: y is zero from there on.  cuDNN's developer guide, cudnnRNNForward.
    """
    x, h, flat = value(input), value(input_h), value(params)
    layers = 0 if time_major else 1
    if h.type.shape[layers] != 1 or direction != "unidirectional" or num_proj or input_mode not in _LINEAR:
        raise Refused("it has several layers or directions, whose parameters have an order of cuDNN's own")
    if dropout and is_training:
        raise Refused("it drops states at random")
    mask = None if is_whole(sequence_lengths, x.type.shape[layers]) else _mask(sequence_lengths, x, 1 - layers)
    if time_major:
        x = ops.transpose(x, (1, 0, 2))
    kernel, recurrent, bias = _parted(flat, x.type.shape[-1], h.type.shape[-1], rnn_mode)
    start = ops.squeeze(h, layers)
    how: Any = {"mask": mask, "zero_output_for_mask": mask is not None}
    if rnn_mode == "lstm":
        y, *ends = ops.lstm(x, kernel, recurrent, bias, start, ops.squeeze(value(input_c), layers), **how)
    elif rnn_mode == "gru":
        y, *ends = ops.gru(x, kernel, recurrent, bias, start, reset_after=True, **how)
    else:
        y, *ends = ops.simple_rnn(x, kernel, recurrent, bias, start, activation=rnn_mode[4:], **how)
    finals = [ops.expand_dims(end, layers) for end in ends]
    return (ops.transpose(y, (1, 0, 2)) if time_major else y, *finals, *[None] * (4 - len(finals)))


_LINEAR = ("linear_input", "auto_select")


def _parted(flat: Value, features: Dim, units: Dim, mode: str) -> tuple[Value, Value, Value]:
    """The kernels f[i, g u] and f[u, g u], and the bias, with the gates in Keras's order."""
    if not isinstance(features, int) or not isinstance(units, int):
        raise Refused("the sizes of its kernels are not known")
    gates, sizes = _GATES[mode], (features, units)
    place, parts = 0, []
    for count in sizes:
        for _ in range(gates):
            parts.append(ops.transpose(ops.reshape(flat[place : place + count * units], (units, count))))
            place += count * units
    biases = [flat[place + gate * units : place + (gate + 1) * units] for gate in range(2 * gates)]
    if mode == "gru":  # cuDNN: reset, update; Keras: update, reset
        for each in (parts, biases):
            each[0], each[1], each[3], each[4] = each[1], each[0], each[4], each[3]
    kernels = ops.concatenate(parts[:gates], 1), ops.concatenate(parts[gates:], 1)
    of_inputs, of_states = ops.concatenate(biases[:gates]), ops.concatenate(biases[gates:])
    bias = ops.stack([of_inputs, of_states]) if mode == "gru" else ops.add(of_inputs, of_states)
    return *kernels, bias


def _mask(lengths: Tensor, x: Value, rows: int) -> Value:
    """bool[n, t]: the steps before the length of each row."""
    places = ops.arange(x.type.shape[1 - rows])
    return ops.less(places, ops.expand_dims(ops.cast(value(lengths), DType.INT32), -1))


# ---- the blocks of TensorFlow 1


_ICFO, _IFCO = (0, 1, 2, 3), (0, 2, 1, 3)  # where the gates i, ci, f, o stand


@dataclass(frozen=True)
class _Block:
    """The cell: w f[i + u, 4u], b f[4u], peepholes to i, f and o; forget_bias is added to f, clip bounds the state."""

    w: Value
    b: Value
    peepholes: tuple[Value, ...]
    forget_bias: float
    clip: float
    order: tuple[int, ...]

    @classmethod
    def of(cls, w: Tensor, b: Tensor, peepholes: Sequence[Tensor], **fields: Any) -> _Block:
        return cls(value(w), value(b), tuple(map(value, peepholes)), **fields)

    def step(self, x: Value, cell: Value, state: Value) -> tuple[Value, ...]:
        """i, cs, f, o, ci, co, h of one step, f[n, u] each."""
        gates = ops.split(ops.add(ops.matmul(ops.concatenate([x, state], -1), self.w), self.b), 4, -1)
        i, ci, f, o = [gates[place] for place in self.order]
        if self.forget_bias:
            f = ops.add(f, self.forget_bias)
        if self.peepholes:
            i, f = (ops.add(gate, ops.multiply(cell, w)) for gate, w in zip((i, f), self.peepholes, strict=False))
        i, f, ci = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(ci)
        cs = ops.add(ops.multiply(ci, i), ops.multiply(cell, f))
        if self.clip > 0:
            cs = ops.clip(cs, -self.clip, self.clip)
        if self.peepholes:
            o = ops.add(o, ops.multiply(cs, self.peepholes[2]))
        o, co = ops.sigmoid(o), ops.tanh(cs)
        return i, cs, f, o, ci, co, ops.multiply(co, o)

    def over_time(self, length: Tensor, x: Tensor, cell: Tensor, state: Tensor) -> tuple[Value, ...]:
        """The same for the steps x f[t, n, i]; zero from `length` on."""

        def step(steps: list[Value], states: list[Value]) -> tuple[Value, list[Value]]:
            found = self.step(steps[0], *states)
            return ops.concatenate(found, -1), [found[1], found[6]]

        given = value(x)
        y, _ = scan(step, [value(cell), value(state)], [ops.transpose(given, (1, 0, 2))], name="block_lstm")
        parts = tuple([ops.transpose(part, (1, 0, 2)) for part in ops.split(y, 7, -1)])
        steps, known = given.type.shape[0], entries(length)
        if known is not None and known.reshape(()) == steps:
            return parts
        runs = ops.reshape(ops.less(ops.arange(steps), ops.cast(value(length), DType.INT32)), (steps, 1, 1))
        return tuple([ops.where(runs, part, 0.0) for part in parts])


@raw("LSTMBlockCell")
def lstm_block_cell(
    x: Tensor,
    cs_prev: Tensor,
    h_prev: Tensor,
    w: Tensor,
    wci: Tensor,
    wcf: Tensor,
    wco: Tensor,
    b: Tensor,
    forget_bias: float = 1.0,
    cell_clip: float = 3.0,
    use_peephole: bool = False,
) -> tuple[Tensor, ...]:
    """i, cs, f, o, ci, co, h of one step; the gates stand in the order i, ci, f, o."""
    peepholes = (wci, wcf, wco) if use_peephole else ()
    block = _Block.of(w, b, peepholes, forget_bias=forget_bias, clip=cell_clip, order=_ICFO)
    return block.step(value(x), value(cs_prev), value(h_prev))


@raw("BlockLSTM")
def block_lstm(
    seq_len_max: Tensor,
    x: Tensor,
    cs_prev: Tensor,
    h_prev: Tensor,
    w: Tensor,
    wci: Tensor,
    wcf: Tensor,
    wco: Tensor,
    b: Tensor,
    forget_bias: float = 1.0,
    cell_clip: float = 3.0,
    use_peephole: bool = False,
) -> tuple[Tensor, ...]:
    """The same over the time, up to seq_len_max."""
    peepholes = (wci, wcf, wco) if use_peephole else ()
    block = _Block.of(w, b, peepholes, forget_bias=forget_bias, clip=cell_clip, order=_ICFO)
    return block.over_time(seq_len_max, x, cs_prev, h_prev)


@raw("BlockLSTMV2")
def block_lstm_2(
    seq_len_max: Tensor,
    x: Tensor,
    cs_prev: Tensor,
    h_prev: Tensor,
    w: Tensor,
    wci: Tensor,
    wcf: Tensor,
    wco: Tensor,
    b: Tensor,
    cell_clip: float = 0.0,
    use_peephole: bool = False,
) -> tuple[Tensor, ...]:
    """The same, with the gates in the order i, f, ci, o, and nothing added to f."""
    peepholes = (wci, wcf, wco) if use_peephole else ()
    block = _Block.of(w, b, peepholes, forget_bias=0.0, clip=cell_clip, order=_IFCO)
    return block.over_time(seq_len_max, x, cs_prev, h_prev)


@raw("GRUBlockCell")
def gru_block_cell(
    x: Tensor, h_prev: Tensor, w_ru: Tensor, w_c: Tensor, b_ru: Tensor, b_c: Tensor
) -> tuple[Tensor, ...]:
    """One step: r, u, c, h, f[n, u] each; w_ru f[i + u, 2u], w_c f[i + u, u], whose product takes r h."""
    given, state = value(x), value(h_prev)
    both = ops.add(ops.matmul(ops.concatenate([given, state], -1), value(w_ru)), value(b_ru))
    r, u = map(ops.sigmoid, ops.split(both, 2, -1))
    kept = ops.concatenate([given, ops.multiply(r, state)], -1)
    c = ops.tanh(ops.add(ops.matmul(kept, value(w_c)), value(b_c)))
    return r, u, c, ops.add(ops.multiply(u, state), ops.multiply(ops.subtract(1.0, u), c))
