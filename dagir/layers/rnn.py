"""Recurrent layers: RNN, which runs any cell over time, and LSTM, GRU, SimpleRNN."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from inspect import signature
from typing import Any, Unpack

from dagir import ops
from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import SymbolicDim
from dagir.ir.graph import Structure, Value, apply_node
from dagir.ir.nest import flatten, map_structure, pack
from dagir.ir.operands import as_value
from dagir.ir.types import DType
from dagir.layers.argument_types import (
    ActivationLike,
    BuildShape,
    Constraint,
    InitializerLike,
    LayerOptions,
    Mask,
    RecurrentOptions,
    Regularizer,
    State,
)
from dagir.layers.base import Layer
from dagir.layers.cells import (
    GRUCell,
    LSTMCell,
    SimpleRNNCell,
    StackedRNNCells,
    check_cell,
    initial_states,
)
from dagir.ops.scanning import scan

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "SimpleRNN",
]

stateful_taken: ContextVar[bool] = ContextVar("stateful_taken", default=False)
"""Whether stateful=True is taken, by a reader that makes inputs of the states, or zeros, before anyone sees them."""

_NATIVE = (LSTMCell, GRUCell, SimpleRNNCell)


class RNN(Layer):
    """A cell, run from step to step over axis 1.  keras.layers.RNN.

    cell: a Layer with state_size and call(inputs, states) -> output, new states; or a list of cells, which are stacked.
    return_sequences: every step's output, else the last. return_state: the final states too. go_backwards: from the
    last step to the first. Masked steps are skipped: the output repeats, or is zero with zero_output_for_mask.

    >>> layers.RNN(layers.LSTMCell(8), return_sequences=True)(dagir.Input(("time", 4)))
    <Value rnn float32[batch, time, 8]>
    """

    supports_masking = True

    def __init__(
        self,
        cell: Layer | Sequence[Layer],
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        check_cell(cell)
        super().__init__(**kwargs)
        self.cell: Any = cell
        if "cell" in self._init_arguments:  # a list has become the layer that stacks it
            self._init_arguments["cell"] = cell
        self.return_sequences, self.return_state = return_sequences, return_state
        self.go_backwards, self.unroll = go_backwards, unroll
        self.zero_output_for_mask = bool(zero_output_for_mask)
        if stateful and not stateful_taken.get():
            raise ArgumentError(
                f"{type(self).__name__} is not taken with stateful=True: a graph of values keeps nothing from one "
                "call to the next",
                remedy="make the layer with return_state=True, and feed the states back with initial_state=; a model "
                "of Keras: from_keras(..., states='inputs') makes its states inputs and outputs, states='zeros' "
                "begins each call with zeros (--states of the tool)",
            )
        self.stateful = bool(stateful)

    @property
    def state_size(self) -> list[Any]:
        """The size of each state; for stacked cells the sizes of each cell."""
        size = self.cell.state_size
        return list(size) if isinstance(size, (list, tuple)) else [size]

    def build(self, sequences_shape: tuple[int | None, ...], initial_state_shape: BuildShape | None = None) -> None:
        """Build the cell for one step."""
        if len(sequences_shape) < 3 or (type(self) is not RNN and len(sequences_shape) != self._rank):
            raise ShapeError(
                f"{type(self).__name__} layer {self.name!r} takes values of rank {self._rank} [batch, time, "
                f"features], got rank {len(sequences_shape)}",
                remedy="give the input a time axis: dagir.Input(shape=('time', features))",
            )
        self._build_inner(self.cell, (sequences_shape[0], *sequences_shape[2:]))

    _rank = 3

    def call(
        self,
        sequences: Value,
        initial_state: State | None = None,
        mask: Mask = None,
        training: bool | None = None,
    ) -> Value | Any:
        """x: f[n, t, *d], initial_state: f[n, u] each, mask: bool[n, t]? -> f[n, t, o] or f[n, o], then the states."""
        if self.unroll and isinstance(sequences.type.shape[1], SymbolicDim):
            raise ArgumentError(
                f"{type(self).__name__} layer {self.name!r} has unroll=True, and the time axis has no fixed size",
                remedy="give the input a fixed number of steps, or leave unroll=False",
            )
        mask = _as_bool(mask)
        given = None if initial_state is None else self._given(initial_state)
        cells: list[Any] = self.cell.cells if type(self.cell) is StackedRNNCells else [self.cell]
        if all(type(cell) in _NATIVE and cell.native_op() is not None for cell in cells):
            y, states = self._native(cells, sequences, given, mask)
            is_state = mask is None or (given is None and not self.zero_output_for_mask)
            last = flatten(states[-1])[0] if type(self.cell) is StackedRNNCells else states[0]
        else:
            y, states = self._scan(sequences, given, mask)
            is_state, last = False, states[0]
        if self.return_sequences:
            output = y
        elif not is_state:  # in a row that is all masked, the last output is zero, but the state is the initial one
            output = y[:, -1]
        else:
            output = ops.identity(last) if self.return_state else last
        return (output, *states) if self.return_state else output

    def _given(self, initial_state: State) -> list[Value]:
        """The initial states of a call, as a flat list. Raises ArgumentError."""
        given = [as_value(state) for state in flatten(initial_state)]
        count = len(flatten(self.cell.state_size))
        if len(given) != count:
            raise ArgumentError(
                f"{type(self).__name__} layer {self.name!r} takes {count} initial state(s), got {len(given)}",
                remedy=f"give one value for each state; state_size is {self.cell.state_size}",
            )
        return given

    def _native(
        self, cells: Sequence[Any], x: Value, given: list[Value] | None, mask: Value | None
    ) -> tuple[Value, list[Any]]:
        """One op for each cell. Masked steps are skipped in every cell of a stack."""
        found: list[Any] = []
        place = 0
        for number, cell in enumerate(cells):
            count = len(flatten(cell.state_size))
            states = [None] * count if given is None else given[place : place + count]
            place += count
            op = cell.native_op(
                go_backwards=self.go_backwards and number == 0,  # the output is in the order of the steps
                zero_output_for_mask=self.zero_output_for_mask,
            )
            weights = [w if w is None else w.value for w in (cell.kernel, cell.recurrent_kernel, cell.bias)]
            x, *finals = apply_node(op, (x, *weights, *states, mask)).outputs
            found.append(finals)
            if self.go_backwards and number == 0 and mask is not None and len(cells) > 1:
                mask = ops.flip(mask, 1)
        sizes = self.state_size if len(cells) > 1 or type(self.cell) is StackedRNNCells else [self.cell.state_size]
        states = [part if isinstance(size, (list, tuple)) else part[0] for size, part in zip(sizes, found, strict=True)]
        return x, states if type(self.cell) is StackedRNNCells else found[0]

    def _scan(self, x: Value, given: list[Value] | None, mask: Value | None) -> tuple[Value, list[Any]]:
        """The cell's own call, as the body of a scan."""
        first = initial_states(self.cell, x.type.shape[0]) if given is None else pack(self._structure(), given)

        def step(steps: list[Value], states: list[Value]) -> tuple[Value, list[Value]]:
            output, new = self.cell(steps[0], pack(first, states))
            return output, flatten(new)

        y, finals = scan(
            step,
            [as_value(state) for state in flatten(first)],
            [x],
            mask,
            go_backwards=self.go_backwards,
            zero_output_for_mask=self.zero_output_for_mask,
            name=self.cell.name,
        )
        return y, pack(self._structure(), finals)

    def _structure(self) -> list[object]:
        return map_structure(lambda _: None, self.state_size)  # type: ignore[no-any-return]

    def compute_mask(self, inputs: Structure, mask: Mask = None) -> Mask:
        """The mask of the steps, where the output has steps; states have none."""
        leaves = flatten(mask)
        kept = leaves[0] if self.return_sequences and leaves else None
        return [kept, *[None] * len(flatten(self.state_size))] if self.return_state else kept


def _as_bool(mask: Mask) -> Value | None:
    leaves = flatten(mask)
    if not leaves or leaves[0] is None:
        return None
    value = as_value(leaves[0])
    return value if value.dtype is DType.BOOL else ops.cast(value, "bool")


class _Recurrent(RNN):
    """The common part of LSTM, GRU and SimpleRNN: the cell is made from the arguments of the layer.

    zero_output_for_mask and implementation are taken as further keyword arguments, as Keras takes them.
    """

    def _start(self, cell: type[Layer], name: str, arguments: dict[str, Any]) -> None:
        """Make the cell from the arguments of the layer that it has too."""
        own = {key: value for key, value in arguments.items() if key in _cell_arguments(cell)}
        more = dict(arguments["kwargs"])
        zero = more.pop("zero_output_for_mask", False)
        more.pop("implementation", None)
        dtype, trainable = more.get("dtype"), more.get("trainable", True)
        super().__init__(
            cell(**own, dtype=dtype, trainable=trainable, name=name),
            activity_regularizer=arguments["activity_regularizer"],
            zero_output_for_mask=zero,
            **{
                key: arguments[key]
                for key in ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")
            },
            **more,
        )
        use_cudnn = arguments.get("use_cudnn", "auto")
        if use_cudnn not in ("auto", True, False):
            raise ArgumentError(f"{type(self).__name__} takes 'auto', True or False for use_cudnn, got {use_cudnn!r}")

    def __getattr__(self, name: str) -> Any:
        if name in _OF_THE_CELL and "cell" in vars(self):
            return getattr(self.cell, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


_OF_THE_CELL = frozenset(
    (
        *("units", "activation", "recurrent_activation", "use_bias", "unit_forget_bias", "reset_after"),
        *("kernel_initializer", "recurrent_initializer", "bias_initializer", "dropout", "recurrent_dropout"),
    )
)


def _cell_arguments(cell: type[Layer]) -> set[str]:
    return set(signature(cell).parameters) - {"kwargs"}


class LSTM(_Recurrent):
    """Long short-term memory: gates input, forget, cell, output.  keras.layers.LSTM.

    return_sequences: every step's output, else the last. return_state: the final h and c too. go_backwards: from the
    last step to the first. Masked steps are skipped. dropout and recurrent_dropout are for training, which Keras does.

    >>> layers.LSTM(8)(dagir.Input(("time", 4)))
    <Value lstm float32[batch, 8]>
    """

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
        activity_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        recurrent_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: str | bool = "auto",
        **kwargs: Unpack[RecurrentOptions],
    ) -> None:
        self._start(LSTMCell, "lstm_cell", locals())


class GRU(_Recurrent):
    """Gated recurrent unit: gates update, reset, candidate.  keras.layers.GRU.

    reset_after: the reset gate scales the product with the state, not the state; there are two biases then. The other
    arguments are those of LSTM.

    >>> layers.GRU(8)(dagir.Input(("time", 4)))
    <Value gru float32[batch, 8]>
    """

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
        activity_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        recurrent_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: str | bool = "auto",
        **kwargs: Unpack[RecurrentOptions],
    ) -> None:
        self._start(GRUCell, "gru_cell", locals())


class SimpleRNN(_Recurrent):
    """h = activation(x @ kernel + h @ recurrent_kernel + bias).  keras.layers.SimpleRNN.

    >>> layers.SimpleRNN(8)(dagir.Input(("time", 4)))
    <Value simple_rnn float32[batch, 8]>
    """

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
        activity_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        recurrent_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Unpack[RecurrentOptions],
    ) -> None:
        self._start(SimpleRNNCell, "simple_rnn_cell", locals())
