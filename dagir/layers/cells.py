"""Cells: one step of a recurrence, for RNN to run over time. LSTMCell, GRUCell, SimpleRNNCell, StackedRNNCells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

import numpy as np

from dagir import initializers, ops
from dagir.errors import ArgumentError, ShapeError
from dagir.ir.arrays import frozen
from dagir.ir.dims import Dim
from dagir.ir.graph import Initializer, Op, Operand, Value
from dagir.ir.nest import flatten
from dagir.ir.types import Array, DType
from dagir.layers import activation as activations
from dagir.layers.argument_types import (
    ActivationLike,
    CellOptions,
    Constraint,
    InitializerLike,
    LayerOptions,
    Regularizer,
    State,
)
from dagir.layers.base import Layer
from dagir.layers.core import positive_int
from dagir.ops.rnn import ACTIVATIONS
from dagir.ops.steps import gru_step, lstm_step, simple_rnn_step

__all__ = [
    "GRUCell",
    "LSTMCell",
    "SimpleRNNCell",
    "StackedRNNCells",
]


class _Cell(Layer):
    """The common part of the cells: kernel, recurrent_kernel, bias, and the op that runs all steps."""

    gates: ClassVar[int]
    _recurrent_activation_name: str | None = "linear"

    def _configure(self, arguments: dict[str, Any]) -> None:
        """Check and keep the arguments that all have."""
        kind, own = type(self).__name__, arguments
        self.units = positive_int(kind, "units", own["units"])
        self.activation = activations.get(own["activation"])
        self._activation_name = _name(own["activation"])
        self.use_bias = own["use_bias"]
        self.kernel_initializer = own["kernel_initializer"]
        self.bias_initializer: InitializerLike = own["bias_initializer"]
        self.recurrent_initializer = own["recurrent_initializer"]
        self.dropout, self.recurrent_dropout = (
            share(kind, name, own[name]) for name in ("dropout", "recurrent_dropout")
        )
        self.seed = own["seed"]

    def _configure_gates(self, recurrent_activation: ActivationLike | None) -> None:
        """Check and store the arguments of cells with gates."""
        self.recurrent_activation = activations.get(recurrent_activation)
        self._recurrent_activation_name = _name(recurrent_activation)

    @property
    def state_size(self) -> int | list[int]:
        """The size of the state, or of each state."""
        return self.units

    @property
    def output_size(self) -> int:
        """The size of the output."""
        return self.units

    def get_initial_state(self, batch_size: Dim | None = None) -> list[Value]:
        """Zeros [batch_size, units] for each state."""
        return [ops.zeros((batch_size, size), self.dtype) for size in flatten(self.state_size)]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """kernel [i, g * units], recurrent_kernel [units, g * units], bias, for g gates."""
        if len(input_shape) != 2:
            raise ShapeError(
                f"{type(self).__name__} {self.name!r} takes a step [batch, features], got rank {len(input_shape)}"
            )
        columns = self.gates * self.units
        self.kernel = self.add_weight((input_shape[-1], columns), self.kernel_initializer, name="kernel")
        self.recurrent_kernel = self.add_weight(
            (self.units, columns), self.recurrent_initializer, name="recurrent_kernel"
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(self._bias_shape(columns), self._bias_initializer(), name="bias")

    def _bias_shape(self, columns: int) -> tuple[int, ...]:
        return (columns,)

    def _bias_initializer(self) -> InitializerLike:
        return self.bias_initializer

    def native_op(self, **fields: object) -> Op | None:
        """The op that runs all steps at once; None if an activation is a function without a name of Keras's."""
        gate = self._recurrent_activation_name
        if self._activation_name is None or gate is None:
            return None
        return self._op(self._activation_name, gate, fields)

    def _op(self, activation: str, recurrent_activation: str, fields: dict[str, object]) -> Op:
        raise NotImplementedError

    def _projected(self, inputs: Value, bias: Operand | None) -> Value:
        return ops.linear(inputs, self.kernel, bias)

    def _states(self, states: State, count: int) -> list[Value]:
        given = flatten(states)
        if len(given) != count:
            raise ArgumentError(
                f"{type(self).__name__} {self.name!r} takes {count} state(s), got {len(given)}",
                remedy="call it as cell(inputs, states), a list of values [batch, units]",
            )
        return given


class LSTMCell(_Cell):
    """One step of an LSTM: gates input, forget, cell, output.  keras.layers.LSTMCell.

    dropout and recurrent_dropout are for training, which Keras does.

    >>> output, states = layers.LSTMCell(8)(dagir.Input((4,)), [dagir.Input((8,)), dagir.Input((8,))])
    >>> output.shape, len(states)
    ((None, 8), 2)
    """

    gates = 4

    def __init__(
        self,
        units: int,
        activation: ActivationLike = "tanh",
        recurrent_activation: ActivationLike = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Regularizer | None = None,
        recurrent_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        recurrent_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Unpack[CellOptions],
    ) -> None:
        arguments = locals()
        super().__init__(**_without_implementation(kwargs))
        self._configure(arguments)
        self._configure_gates(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias

    @property
    def state_size(self) -> list[int]:
        """The sizes of h and of c."""
        return [self.units, self.units]

    def _bias_initializer(self) -> InitializerLike:
        return forgetting(self.units, self.bias_initializer) if self.unit_forget_bias else self.bias_initializer

    def _op(self, activation: str, recurrent_activation: str, fields: dict[str, Any]) -> Op:
        return ops.LSTM(activation, **fields, recurrent_activation=recurrent_activation)

    def call(self, inputs: Value, states: State, training: bool | None = None) -> tuple[Value, Any]:
        """x: f[n, i], states: h, c: f[n, units] -> h, [h, c]."""
        h, c = self._states(states, 2)
        xw = self._projected(inputs, self.bias)
        return lstm_step(xw, h, c, self.recurrent_kernel.value, self.activation, self.recurrent_activation)


class GRUCell(_Cell):
    """One step of a GRU: gates update, reset, candidate.  keras.layers.GRUCell.

    reset_after: the reset gate scales the product with the state, not the state; there are two biases then.

    >>> layers.RNN(layers.GRUCell(8))(dagir.Input(("time", 4)))
    <Value rnn float32[batch, 8]>
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: ActivationLike = "tanh",
        recurrent_activation: ActivationLike = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: Regularizer | None = None,
        recurrent_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        recurrent_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Unpack[CellOptions],
    ) -> None:
        arguments = locals()
        super().__init__(**_without_implementation(kwargs))
        self._configure(arguments)
        self._configure_gates(recurrent_activation)
        self.reset_after = reset_after

    def _bias_shape(self, columns: int) -> tuple[int, ...]:
        return (2, columns) if self.reset_after else (columns,)

    def _op(self, activation: str, recurrent_activation: str, fields: dict[str, Any]) -> Op:
        return ops.GRU(activation, **fields, recurrent_activation=recurrent_activation, reset_after=self.reset_after)

    def call(self, inputs: Value, states: State, training: bool | None = None) -> tuple[Value, Any]:
        """x: f[n, i], states: h: f[n, units], or a list of it -> h, and h as `states` was given."""
        (h,) = self._states(states, 1)
        both = self.bias is not None and self.reset_after
        input_bias, state_bias = (self.bias[0], self.bias[1]) if both else (self.bias, None)  # type: ignore[index]
        xw, r = self._projected(inputs, input_bias), self.recurrent_kernel.value
        h, new = gru_step(xw, h, r, state_bias, self.activation, self.recurrent_activation, self.reset_after)
        return h, (new if isinstance(states, (list, tuple)) else h)


class SimpleRNNCell(_Cell):
    """One step of h = activation(x @ kernel + h @ recurrent_kernel + bias).  keras.layers.SimpleRNNCell.

    >>> layers.RNN(layers.SimpleRNNCell(8))(dagir.Input(("time", 4)))
    <Value rnn float32[batch, 8]>
    """

    gates = 1

    def __init__(
        self,
        units: int,
        activation: ActivationLike = "tanh",
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: Regularizer | None = None,
        recurrent_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        recurrent_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Unpack[CellOptions],
    ) -> None:
        arguments = locals()
        super().__init__(**_without_implementation(kwargs))
        self._configure(arguments)

    def _op(self, activation: str, recurrent_activation: str, fields: dict[str, Any]) -> Op:
        return ops.SimpleRNN(activation, **fields)

    def call(self, sequence: Value, states: State, training: bool | None = None) -> tuple[Value, Any]:
        """x: f[n, i], states: h: f[n, units], or a list of it -> h, and h as `states` was given."""
        (h,) = self._states(states, 1)
        h, new = simple_rnn_step(self._projected(sequence, self.bias), h, self.recurrent_kernel.value, self.activation)
        return h, (new if isinstance(states, (list, tuple)) else h)


class StackedRNNCells(Layer):
    """Several cells as one cell: each gets the output of the one before.  keras.layers.StackedRNNCells.

    cells: a list of cells.

    >>> cells = layers.StackedRNNCells([layers.GRUCell(8), layers.LSTMCell(6)])
    >>> layers.RNN(cells)(dagir.Input(("time", 4)))
    <Value rnn float32[batch, 6]>
    """

    def __init__(self, cells: Sequence[Layer], **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        for cell in cells:
            check_cell(cell)
        self.cells = list(cells)

    @property
    def state_size(self) -> list[Any]:
        """The state sizes of each cell."""
        return [cell.state_size for cell in self.cells]  # type: ignore[attr-defined]

    @property
    def output_size(self) -> int:
        """The size of what the last cell gives out."""
        return output_size(self.cells[-1])

    def get_initial_state(self, batch_size: Dim | None = None) -> list[Any]:
        """The initial states of each cell."""
        return [initial_states(cell, batch_size) for cell in self.cells]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Build each cell for the output of the one before."""
        for cell in self.cells:
            self._build_inner(cell, input_shape)
            input_shape = (input_shape[0], output_size(cell))

    def call(self, inputs: Value, states: State, training: bool | None = None) -> tuple[Value, Any]:
        """x: f[n, i], states: those of each cell -> the output of the last cell, the new states of each."""
        new = []
        for cell, own in zip(self.cells, states, strict=True):
            nested = isinstance(own, (list, tuple))
            inputs, after = cell(inputs, list(own) if nested else [own])
            after = list(after) if isinstance(after, (list, tuple)) else [after]
            new.append(after if nested else after[0])
        return inputs, new


def check_cell(cell: object) -> None:
    """Raise ArgumentError unless this is a Layer with a state_size."""
    if not isinstance(cell, Layer):
        raise ArgumentError(f"a cell is a dagir.Layer, got {cell!r}", remedy="subclass dagir.Layer")
    if getattr(cell, "state_size", None) is None:
        raise ArgumentError(
            f"cell {cell.name!r} has no state_size",
            remedy="set self.state_size in its __init__: an int, or a list with an int for each state",
        )


def output_size(cell: Any) -> int:
    """The size of a cell's output: its output_size, else the size of its first state."""
    found: int = getattr(cell, "output_size", None) or flatten(cell.state_size)[0]
    return found


def initial_states(cell: Any, batch: Dim | None) -> list[Any]:
    """The initial states of a cell, as a list: from its get_initial_state, else zeros [batch, size]."""
    make = getattr(cell, "get_initial_state", None)
    if make is None:
        return [ops.zeros((batch, size), cell.dtype) for size in flatten(cell.state_size)]
    found = make(batch_size=batch)
    return list(found) if isinstance(found, (list, tuple)) else [found]


def share(kind: str, name: str, number: object) -> float:
    """The number, limited to 0 to 1. Raises ArgumentError."""
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise ArgumentError(f"{kind} takes a number from 0 to 1 for {name}, got {number!r}")
    return min(1.0, max(0.0, float(number)))


def _name(activation: object) -> str | None:
    name = "linear" if activation is None else activations.name_of(activation)
    return name if name in ACTIVATIONS else None


def _without_implementation(kwargs: CellOptions) -> LayerOptions:
    """Without `implementation`: it changes how Keras computes, not the result."""
    kwargs.pop("implementation", None)
    return kwargs


def forgetting(units: int, initializer: InitializerLike) -> Initializer:
    """An initializer with ones for the bias of the forget gate, so that the cell remembers."""
    make = initializers.get(initializer)

    def initialize(shape: Sequence[int], dtype: DType) -> Array:
        parts = [make((units,), dtype), np.ones(units, dtype.numpy), make((2 * units,), dtype)]
        return frozen(np.concatenate(parts))

    return initialize
