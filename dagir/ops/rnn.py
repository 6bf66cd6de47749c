"""Recurrences over the time axis: LSTM, GRU, SimpleRNN, each with an optional mask and initial state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, TypedDict, Unpack

from dagir.errors import ArgumentError, DTypeError, ShapeError
from dagir.ir.dims import Dim
from dagir.ir.graph import Op, Operand, Value, apply_node
from dagir.ir.operands import as_value
from dagir.ir.rounding import Rounding
from dagir.ir.types import Equations, Inferred, Shape, TensorType
from dagir.ops import activation as act
from dagir.ops.elementwise import Clip, Exp, Identity
from dagir.ops.gate_errors import let_through
from dagir.ops.operands import require, same_dtype
from dagir.ops.softmax import LogSoftmax, Softmax
from dagir.support.did_you_mean import nearest

__all__ = [
    "GRU",
    "LSTM",
    "SimpleRNN",
    "gru",
    "lstm",
    "simple_rnn",
]

# The functions of the names in the fields, on the [n, u] values of one step; the names are those of keras.activations.
ACTIVATIONS: dict[str, Op] = {
    "linear": Identity(),
    "tanh": act.Tanh(),
    "sigmoid": act.Sigmoid(),
    "hard_sigmoid": act.HardSigmoid(),
    "relu": act.Relu(),
    "relu6": Clip(0.0, 6.0),
    "leaky_relu": act.LeakyRelu(0.2),
    "elu": act.Elu(1.0),
    "selu": act.Selu(),
    "softplus": act.Softplus(),
    "softsign": act.Softsign(),
    "silu": act.Silu(),
    "swish": act.Silu(),
    "gelu": act.Gelu(False),
    "exponential": Exp(),
    "softmax": Softmax((1,)),
    "log_softmax": LogSoftmax((1,)),
}


_GATES = Rounding(within=3.0, absolute=lambda x: 0.5)
"""Gates saturate, and are approximated by rational functions that are a few units off: 1 / (1 + e^-x) as 0.5 + one."""
_KEEPS = replace(_GATES, errors=(let_through,))


@dataclass(frozen=True)
class _Recurrence(Op):
    """The common part of the recurrences. w, r and b hold `gates` blocks of u columns, one beside the other.

    Steps run from the first to the last, or with go_backwards from the last to the first; y is in the order of the
    steps, so go_backwards gives it reversed. Where the mask is False the state does not change, and y repeats its
    value of the step before (zeros before the first); with zero_output_for_mask y is zero there.
    """

    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1

    activation: str = "tanh"
    go_backwards: bool = False
    zero_output_for_mask: bool = False

    def infer(self, x: TensorType, w: TensorType, r: TensorType, *rest: TensorType | None) -> Inferred:
        """y [n, t, u], then the final states [n, u]."""
        equations = Equations()
        given = list(rest) + [None] * (self.states + 2 - len(rest))
        b, states, mask = given[0], given[1:-1], given[-1]
        floats = [type for type in (b, *states) if type is not None]
        same_dtype(x, w, r, *floats)
        require("float", x)
        self._check_activations()
        if x.rank != 3:
            raise ShapeError(
                f"a recurrence takes x of rank 3 [batch, time, features], got rank {x.rank}",
                remedy="reshape x, or add the missing axis with ops.expand_dims",
            )
        units = self._check_weights(equations, x, w, r, b)
        batch = self._check_states(equations, x.shape[0], units, states)
        self._check_mask(equations, x, mask)
        state = TensorType(x.dtype, (batch, units))
        return equations.inferred(TensorType(x.dtype, (batch, x.shape[1], units)), *[state] * self.states)

    def _check_activations(self) -> None:
        for name in (self.activation, getattr(self, "recurrent_activation", "linear")):
            if name not in ACTIVATIONS:
                near = nearest(name, ACTIVATIONS) or ACTIVATIONS
                raise ArgumentError(f"unknown activation {name!r}", remedy=f"use {' or '.join(near)}")

    def _check_weights(
        self, equations: Equations, x: TensorType, w: TensorType, r: TensorType, b: TensorType | None
    ) -> Dim:
        if r.rank != 2 or w.rank != 2:
            raise ShapeError(f"the kernels must have rank 2, got {list(w.shape)} and {list(r.shape)}")
        units = r.shape[0]
        if not isinstance(units, int):
            raise ShapeError(
                f"a recurrence needs a known number of units, r has {units} rows", remedy="give the weights fixed sizes"
            )
        columns = units * self.gates
        for place, kernel in ((1, w), (2, r)):
            if equations.equate(kernel.shape[1], columns) is None:
                raise ShapeError(
                    f"{self.operands[place]} must have {columns} columns, {self.gates} for each of {units} units",
                    marks={place: [1]},
                )
        if equations.equate(x.shape[2], w.shape[0]) is None:
            raise ShapeError(
                f"the last axis of x is {x.shape[2]}, the weights take {w.shape[0]}",
                marks={0: [2], 1: [0]},
                remedy=f"call it on a value whose last axis is {w.shape[0]}, or make a new layer for this one",
            )
        if b is not None and b.shape != self._bias_shape(columns):
            raise ShapeError(
                f"the bias must have shape {list(self._bias_shape(columns))}", marks={3: list(range(b.rank))}
            )
        return units

    def _bias_shape(self, columns: Dim) -> Shape:
        return (columns,)

    def _check_states(self, equations: Equations, batch: Dim, units: Dim, states: list[TensorType | None]) -> Dim:
        for place, state in enumerate(states, start=4):
            if state is None:
                continue
            if state.rank != 2 or equations.equate(state.shape[1], units) is None:
                raise ShapeError(
                    f"an initial state must have shape [{batch}, {units}]", marks={place: [state.rank - 1]}
                )
            agreed = equations.equate(batch, state.shape[0])
            if agreed is None:
                raise ShapeError(
                    f"x has a batch of {batch}, an initial state one of {state.shape[0]}", marks={0: [0], place: [0]}
                )
            batch = agreed
        return batch

    def _check_mask(self, equations: Equations, x: TensorType, mask: TensorType | None) -> None:
        if mask is None:
            return
        place = 4 + self.states
        if mask.dtype != "bool":
            raise DTypeError(f"a mask is bool, got {mask.dtype}", remedy="cast it: ops.cast(mask, 'bool')")
        if mask.rank != 2:
            raise ShapeError(f"the mask must have shape [batch, time], got rank {mask.rank}")
        for axis in (0, 1):
            if equations.equate(x.shape[axis], mask.shape[axis]) is None:
                raise ShapeError(
                    f"axis {axis} of the mask has size {mask.shape[axis]}, x has {x.shape[axis]}",
                    marks={0: [axis], place: [axis]},
                    remedy="the mask needs the batch and the time steps of x",
                )


@dataclass(frozen=True)
class LSTM(_Recurrence):
    """x: f[n,t,i], w: f[i,4u], r: f[u,4u], b: f[4u]?, h0: f[n,u]?, c0: f[n,u]?, mask: bool[n,t]? -> y, h, c.

    y: f[n,t,u], h and c: f[n,u], the final states. Gates in the order input, forget, cell, output; a gate is
    recurrent_activation(x @ w + h @ r + b), the cell's by activation.  keras.layers.LSTM; ONNX LSTM-14.
    """

    rounding = _KEEPS
    operands = ("x", "w", "r", "b", "h0", "c0", "mask")
    gates = 4
    states = 2

    recurrent_activation: str = "sigmoid"


@dataclass(frozen=True)
class GRU(_Recurrence):
    """x: f[n,t,i], w: f[i,3u], r: f[u,3u], b: f[3u]?, h0: f[n,u]?, mask: bool[n,t]? -> y: f[n,t,u], h: f[n,u].

    Gates in the order update, reset, candidate. With reset_after the reset gate scales h @ r, and b is f[2,3u], of
    x @ w and of h @ r; without, it scales h.  keras.layers.GRU; ONNX GRU-14 with linear_before_reset = reset_after.
    """

    rounding = _KEEPS
    operands = ("x", "w", "r", "b", "h0", "mask")
    gates = 3

    recurrent_activation: str = "sigmoid"
    reset_after: bool = True

    def _bias_shape(self, columns: Dim) -> Shape:
        return (2, columns) if self.reset_after else (columns,)


@dataclass(frozen=True)
class SimpleRNN(_Recurrence):
    """x: f[n,t,i], w: f[i,u], r: f[u,u], b: f[u]?, h0: f[n,u]?, mask: bool[n,t]? -> y: f[n,t,u], h: f[n,u].

    h = activation(x @ w + h @ r + b).  keras.layers.SimpleRNN; ONNX RNN-14.
    """

    rounding = _GATES
    operands = ("x", "w", "r", "b", "h0", "mask")


class RecurrenceOptions(TypedDict, total=False):
    """The fields that all recurrences have."""

    activation: str
    go_backwards: bool
    zero_output_for_mask: bool


class GatedOptions(RecurrenceOptions, total=False):
    """Those of LSTM."""

    recurrent_activation: str


class ResetOptions(GatedOptions, total=False):
    """Those of GRU."""

    reset_after: bool


def _run(op: _Recurrence, *operands: Operand | None) -> tuple[Value, ...]:
    values = tuple([None if operand is None else as_value(operand) for operand in operands])
    return apply_node(op, values).outputs


def lstm(
    x: Operand,
    w: Operand,
    r: Operand,
    b: Operand | None = None,
    h0: Operand | None = None,
    c0: Operand | None = None,
    mask: Operand | None = None,
    **fields: Unpack[GatedOptions],
) -> tuple[Value, ...]:
    """(y, h, c) of an LSTM over axis 1; fields: those of the op LSTM. Shapes: x [n, t, i], w [i, 4u], r [u, 4u].

    b: bias [4u]. h0, c0: the first states [n, u]. mask: bool [n, t].

    >>> kernels = np.zeros((4, 8), "float32"), np.zeros((2, 8), "float32")
    >>> ops.lstm(dagir.Input(("time", 4)), *kernels)[0]
    <Value lstm float32[batch, time, 2]>
    """
    return _run(LSTM(**fields), x, w, r, b, h0, c0, mask)


def gru(
    x: Operand,
    w: Operand,
    r: Operand,
    b: Operand | None = None,
    h0: Operand | None = None,
    mask: Operand | None = None,
    **fields: Unpack[ResetOptions],
) -> tuple[Value, ...]:
    """(y, h) of a GRU over axis 1; fields: those of the op GRU. Shapes: x [n, t, i], w [i, 3u], r [u, 3u].

    b: bias [2, 3u], or [3u] with reset_after=False. h0: the first state [n, u]. mask: bool [n, t].

    >>> kernels = np.zeros((4, 6), "float32"), np.zeros((2, 6), "float32")
    >>> ops.gru(dagir.Input(("time", 4)), *kernels)[0]
    <Value gru float32[batch, time, 2]>
    """
    return _run(GRU(**fields), x, w, r, b, h0, mask)


def simple_rnn(
    x: Operand,
    w: Operand,
    r: Operand,
    b: Operand | None = None,
    h0: Operand | None = None,
    mask: Operand | None = None,
    **fields: Unpack[RecurrenceOptions],
) -> tuple[Value, ...]:
    """(y, h) of activation(x @ w + h @ r + b) over axis 1. Shapes: x [n, t, i], w [i, u], r [u, u].

    h0: the first state [n, u]. mask: bool [n, t]. fields: those of the op SimpleRNN, such as activation.

    >>> kernels = np.zeros((4, 2), "float32"), np.zeros((2, 2), "float32")
    >>> ops.simple_rnn(dagir.Input(("time", 4)), *kernels)[0]
    <Value simple_rnn float32[batch, time, 2]>
    """
    return _run(SimpleRNN(**fields), x, w, r, b, h0, mask)
