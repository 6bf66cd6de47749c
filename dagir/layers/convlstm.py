"""ConvLSTM1D, ConvLSTM2D, ConvLSTM3D: LSTMs over images, whose products are convolutions."""

from __future__ import annotations

from typing import Any, Unpack

from dagir import ops
from dagir.errors import ShapeError
from dagir.ir.graph import Value, apply
from dagir.ir.types import Sizes
from dagir.layers import activation as activations
from dagir.layers.argument_types import (
    ActivationLike,
    BuildShape,
    CellKind,
    Constraint,
    InitializerLike,
    NameAndDType,
    Regularizer,
)
from dagir.layers.base import Layer
from dagir.layers.cells import forgetting, share
from dagir.layers.conv import _BaseConv
from dagir.layers.core import positive_int
from dagir.layers.rnn import RNN
from dagir.ops.scanning import scan

__all__ = [
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
]


class ConvLSTMCell(Layer):
    """The weights of a ConvLSTM and one step of it; gates in the order input, forget, cell, output."""

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: tuple[int, ...],
        data_format: str,
        activation: ActivationLike,
        recurrent_activation: ActivationLike,
        use_bias: bool,
        kernel_initializer: InitializerLike,
        recurrent_initializer: InitializerLike,
        bias_initializer: InitializerLike,
        unit_forget_bias: bool,
        **kwargs: Unpack[CellKind],
    ) -> None:
        super().__init__(name="conv_lstm_cell", **kwargs)
        self.rank, self.filters, self.kernel_size, self.data_format = rank, filters, kernel_size, data_format
        self.state_size = [filters, filters]
        self.activation = activations.get(activation)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.use_bias = use_bias
        self.kernel_initializer, self.recurrent_initializer = kernel_initializer, recurrent_initializer
        self.bias_initializer = forgetting(filters, bias_initializer) if unit_forget_bias else bias_initializer

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """kernel [*k, c, 4 * filters], recurrent_kernel [*k, filters, 4 * filters], bias."""
        channels, columns = input_shape[1 if self.data_format == "channels_first" else -1], 4 * self.filters
        self.kernel = self.add_weight((*self.kernel_size, channels, columns), self.kernel_initializer, name="kernel")
        self.recurrent_kernel = self.add_weight(
            (*self.kernel_size, self.filters, columns), self.recurrent_initializer, name="recurrent_kernel"
        )
        self.bias = self.add_weight((columns,), self.bias_initializer, name="bias") if self.use_bias else None

    def step(self, xw: Value, h: Value, c: Value) -> tuple[Value, list[Value]]:
        """xw: f[n, *e, 4f], the input's part of the gates; h, c: f[n, *e, f] -> h, [h, c]."""
        once = (1,) * self.rank
        op = ops.Conv(once, "same", once, 1, self.data_format)
        i, f, g, o = self._gates(xw + apply(op, h, self.recurrent_kernel.value))
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
        h = self.recurrent_activation(o) * self.activation(c)
        return h, [h, c]

    def _gates(self, x: Value) -> list[Value]:
        cuts = [slice(i * self.filters, (i + 1) * self.filters) for i in range(4)]
        return [x[:, cut] if self.data_format == "channels_first" else x[..., cut] for cut in cuts]


class _ConvLSTM(_BaseConv, RNN):
    """The common part. The input is convolved for all steps at once; a Scan holds only the recurrent convolution."""

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
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
        **kwargs: Unpack[NameAndDType],
    ) -> None:
        kind = type(self).__name__
        self._configure(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, bias_initializer
        )
        self._refuse_strides_with_dilation()
        given = CellKind()
        if "dtype" in kwargs:
            given["dtype"] = kwargs["dtype"]
        if "trainable" in kwargs:
            given["trainable"] = kwargs["trainable"]
        cell = ConvLSTMCell(
            self.rank,
            positive_int(kind, "filters", filters),
            self.kernel_size,
            self.data_format,
            activation,
            recurrent_activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            unit_forget_bias,
            **given,
        )
        RNN.__init__(
            self,
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.filters = filters
        self.dropout = share(kind, "dropout", dropout)
        self.recurrent_dropout = share(kind, "recurrent_dropout", recurrent_dropout)

    def build(self, sequences_shape: tuple[int | None, ...], initial_state_shape: BuildShape | None = None) -> None:
        """Build the cell for one step."""
        step = (sequences_shape[0], *sequences_shape[2:])
        if len(sequences_shape) != self.rank + 3:
            raise ShapeError(
                f"{type(self).__name__} layer {self.name!r} takes values of rank {self.rank + 3}, "
                f"got {len(sequences_shape)}",
                remedy=f"give the input a batch, a time, {self.rank} spatial and a channel axis ({self.data_format})",
            )
        self._channels(step)
        spatial = step[2:] if self.data_format == "channels_first" else step[1:-1]
        if None in spatial:
            raise ShapeError(
                f"{type(self).__name__} layer {self.name!r} takes spatial axes of fixed size, as Keras's does",
                remedy="give them sizes in the input; the batch and the time may be of any size",
            )
        self._build_inner(self.cell, step)

    def _scan(self, x: Value, given: list[Value] | None, mask: Value | None) -> tuple[Value, list[Any]]:
        batch, time, *rest = x.type.shape
        cell = self.cell
        op = ops.Conv(self.strides, self.padding, self.dilation_rate, 1, self.data_format)
        flat = ops.reshape(x, (batch * time, *rest))
        xw = apply(op, flat, cell.kernel.value, None if cell.bias is None else cell.bias.value)
        xw = ops.reshape(xw, (batch, time, *xw.type.shape[1:]))
        if given is None:
            shape = [batch, *xw.type.shape[2:]]
            shape[1 if self.data_format == "channels_first" else -1] = cell.filters
            given = [ops.zeros(shape, x.dtype)] * 2
        return scan(
            lambda steps, states: cell.step(steps[0], *states),
            given,
            [xw],
            mask,
            go_backwards=self.go_backwards,
            zero_output_for_mask=self.zero_output_for_mask,
            name=cell.name,
        )


class ConvLSTM1D(_ConvLSTM):
    """x: f[n, t, d, c] -> f[n, t, e, filters], or the last step's.  keras.layers.ConvLSTM1D.

    >>> layers.ConvLSTM1D(8, 3)(dagir.Input(("time", 10, 4)))
    <Value conv_lstm1d float32[batch, 8, 8]>
    """

    rank = 1


class ConvLSTM2D(_ConvLSTM):
    """x: f[n, t, d0, d1, c] -> f[n, t, e0, e1, filters], or the last step's.  keras.layers.ConvLSTM2D.

    >>> layers.ConvLSTM2D(8, 3)(dagir.Input(("time", 28, 28, 3)))
    <Value conv_lstm2d float32[batch, 26, 26, 8]>
    """

    rank = 2


class ConvLSTM3D(_ConvLSTM):
    """x: f[n, t, d0, d1, d2, c] -> f[n, t, e0, e1, e2, filters], or the last step's.  keras.layers.ConvLSTM3D.

    >>> layers.ConvLSTM3D(8, 3)(dagir.Input(("time", 8, 28, 28, 3)))
    <Value conv_lstm3d float32[batch, 6, 26, 26, 8]>
    """

    rank = 3
