"""Recurrent layers: LSTM, GRU, SimpleRNN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from dagir import initializers, ops
from dagir.dims import SymbolicDim
from dagir.errors import ArgumentError, ShapeError
from dagir.graph import Initializer, Op, Parameter, Value, apply_node, as_value
from dagir.layers import activation as activations
from dagir.layers.base import Layer
from dagir.layers.core import positive_int
from dagir.ops.rnn import ACTIVATIONS
from dagir.structure import flatten
from dagir.types import Array, DType


class _Recurrent(Layer):
    """What the recurrent layers share: kernel, recurrent_kernel, bias; a mask, initial states, what is returned.

    zero_output_for_mask and implementation are taken as further keyword arguments, as Keras takes them.
    """

    supports_masking = True
    cell: ClassVar[str]  # what Keras calls the part of the layer that holds the weights
    gates: ClassVar[int]
    states: ClassVar[int] = 1

    def _configure(self, arguments: dict[str, Any]) -> None:
        """Check and keep the arguments that all have."""
        kind, own = type(self).__name__, arguments
        self.units = positive_int(kind, "units", own["units"])
        self.activation_name = self._activation_name("activation", own["activation"])
        self.activation = activations.get(own["activation"])
        self.use_bias = own["use_bias"]
        self.kernel_initializer, self.bias_initializer = own["kernel_initializer"], own["bias_initializer"]
        self.recurrent_initializer = own["recurrent_initializer"]
        self.dropout, self.recurrent_dropout = (
            self._share(name, own[name]) for name in ("dropout", "recurrent_dropout")
        )
        self.return_sequences, self.return_state = own["return_sequences"], own["return_state"]
        self.go_backwards, self.unroll = own["go_backwards"], own["unroll"]
        if own["stateful"]:
            raise ArgumentError(
                f"{kind} is not taken with stateful=True: a graph of values keeps nothing from one call to the next",
                remedy="make the layer with return_state=True, and feed the states back with initial_state=",
            )

    def _configure_gates(self, recurrent_activation: Any, use_cudnn: Any) -> None:
        """Check and keep the arguments of the layers that have gates."""
        self.recurrent_activation_name = self._activation_name("recurrent_activation", recurrent_activation)
        self.recurrent_activation = activations.get(recurrent_activation)
        if use_cudnn not in ("auto", True, False):
            raise ArgumentError(f"{type(self).__name__} takes 'auto', True or False for use_cudnn, got {use_cudnn!r}")

    def _own_options(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Take out of `kwargs` the arguments that Keras's layers take by keyword alone."""
        self._zero_output_for_mask = bool(kwargs.get("zero_output_for_mask", False))
        return {key: value for key, value in kwargs.items() if key not in ("zero_output_for_mask", "implementation")}

    def _activation_name(self, argument: str, activation: Any) -> str:
        if activation is None:
            return "linear"
        name = activations.name_of(activation)
        if name not in ACTIVATIONS:
            raise ArgumentError(
                f"{type(self).__name__} takes an activation by name for {argument}, got {activation!r}",
                remedy=f"use one of {', '.join(ACTIVATIONS)}",
            )
        return name

    def _share(self, name: str, number: Any) -> float:
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise ArgumentError(f"{type(self).__name__} takes a number from 0 to 1 for {name}, got {number!r}")
        return min(1.0, max(0.0, float(number)))

    def build(self, sequences_shape: tuple[int | None, ...]) -> None:
        """kernel [i, g * units], recurrent_kernel [units, g * units], bias, for g gates."""
        if len(sequences_shape) != 3:
            raise ShapeError(
                f"{type(self).__name__} layer {self.name!r} takes values of rank 3 [batch, time, features], "
                f"got rank {len(sequences_shape)}",
                remedy="give the input a time axis: dagir.Input(shape=('time', features))",
            )
        columns = self.gates * self.units

        def weight(shape: tuple[int | None, ...], initializer: Any, name: str) -> Parameter:
            return self.add_weight(shape, initializer, name=f"{self.cell}/{name}")

        self.kernel = weight((sequences_shape[-1], columns), self.kernel_initializer, "kernel")
        self.recurrent_kernel = weight((self.units, columns), self.recurrent_initializer, "recurrent_kernel")
        bias = self._bias_initializer()
        self.bias = weight(self._bias_shape(columns), bias, "bias") if self.use_bias else None

    def _bias_shape(self, columns: int) -> tuple[int, ...]:
        return (columns,)

    def _bias_initializer(self) -> Any:
        return self.bias_initializer

    def _op(self) -> Op:
        raise NotImplementedError

    def _fields(self) -> dict[str, Any]:
        return {
            "activation": self.activation_name,
            "go_backwards": self.go_backwards,
            "zero_output_for_mask": self._zero_output_for_mask,
        }

    def call(self, sequences: Value, initial_state: Any = None, mask: Any = None, training: Any = None) -> Any:
        """x: f[n, t, i], initial_state: f[n, u] each, mask: bool[n, t]? -> f[n, t, u] or f[n, u], then the states."""
        if self.unroll and isinstance(sequences.type.shape[1], SymbolicDim):
            raise ArgumentError(
                f"{type(self).__name__} layer {self.name!r} has unroll=True, and the time axis has no fixed size",
                remedy="give the input a fixed number of steps, or leave unroll=False",
            )
        states = self._initial(initial_state)
        mask = _as_bool(mask)
        weights = [
            None if weight is None else weight.value for weight in (self.kernel, self.recurrent_kernel, self.bias)
        ]
        y, *finals = apply_node(self._op(), (sequences, *weights, *states, mask)).outputs
        if self.return_sequences:
            output = y
        elif mask is None or (initial_state is None and not self._zero_output_for_mask):
            output = ops.identity(finals[0]) if self.return_state else finals[0]
        else:  # in a row that is masked throughout the last output is zero, the state is the initial one
            output = y[:, -1]
        return (output, *finals) if self.return_state else output

    def _initial(self, initial_state: Any) -> list[Value | None]:
        if initial_state is None:
            return [None] * self.states
        given: list[Value | None] = [as_value(state) for state in flatten(initial_state)]
        if len(given) != self.states:
            raise ArgumentError(
                f"{type(self).__name__} layer {self.name!r} takes {self.states} initial state(s), got {len(given)}",
                remedy=f"give one value of shape [batch, {self.units}] for each state",
            )
        return given

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the steps, where the output has steps; states have none."""
        leaves = flatten(mask)
        kept = leaves[0] if self.return_sequences and leaves else None
        return [kept, *[None] * self.states] if self.return_state else kept


def _as_bool(mask: Any) -> Value | None:
    leaves = flatten(mask)
    if not leaves or leaves[0] is None:
        return None
    value = as_value(leaves[0])
    return value if value.dtype is DType.BOOL else ops.cast(value, "bool")


class LSTM(_Recurrent):
    """Long short-term memory: gates input, forget, cell, output.  keras.layers.LSTM.

    return_sequences: every step's output, else the last. return_state: the final h and c too. go_backwards: from the
    last step to the first. Masked steps are skipped. dropout and recurrent_dropout are for training, which Keras does.
    """

    cell = "lstm_cell"
    gates = 4
    states = 2

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        arguments = locals()
        super().__init__(activity_regularizer=activity_regularizer, **self._own_options(kwargs))
        self._configure(arguments)
        self._configure_gates(recurrent_activation, use_cudnn)
        self.unit_forget_bias = unit_forget_bias

    def _bias_initializer(self) -> Any:
        return _forgetting(self.units, self.bias_initializer) if self.unit_forget_bias else self.bias_initializer

    def _op(self) -> Op:
        return ops.LSTM(**self._fields(), recurrent_activation=self.recurrent_activation_name)


def _forgetting(units: int, initializer: Any) -> Initializer:
    """The forget gate's bias begins at one, so that the cell remembers."""
    make = initializers.get(initializer)

    def initialize(shape: Sequence[int], dtype: DType) -> Array:
        parts = [make((units,), dtype), np.ones(units, dtype.numpy), make((2 * units,), dtype)]
        return np.concatenate(parts)

    return initialize


class GRU(_Recurrent):
    """Gated recurrent unit: gates update, reset, candidate.  keras.layers.GRU.

    reset_after: the reset gate scales the product with the state, not the state; there are two biases then. The other
    arguments are those of LSTM.
    """

    cell = "gru_cell"
    gates = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        arguments = locals()
        super().__init__(activity_regularizer=activity_regularizer, **self._own_options(kwargs))
        self._configure(arguments)
        self._configure_gates(recurrent_activation, use_cudnn)
        self.reset_after = reset_after

    def _bias_shape(self, columns: int) -> tuple[int, ...]:
        return (2, columns) if self.reset_after else (columns,)

    def _op(self) -> Op:
        gate = self.recurrent_activation_name
        return ops.GRU(**self._fields(), recurrent_activation=gate, reset_after=self.reset_after)


class SimpleRNN(_Recurrent):
    """h = activation(x @ kernel + h @ recurrent_kernel + bias).  keras.layers.SimpleRNN."""

    cell = "simple_rnn_cell"
    gates = 1

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        arguments = locals()
        super().__init__(activity_regularizer=activity_regularizer, **self._own_options(kwargs))
        self._configure(arguments)

    def _op(self) -> Op:
        return ops.SimpleRNN(**self._fields())
