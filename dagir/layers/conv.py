"""Convolution layers: Conv, its transpose, and the depthwise and separable ones."""

from __future__ import annotations

from typing import ClassVar, Unpack

from dagir import ops
from dagir.errors import ArgumentError, ShapeError
from dagir.ir.graph import Op, Parameter, Value, apply
from dagir.ir.types import Sizes
from dagir.layers import activation as activations
from dagir.layers.argument_types import ActivationLike, Constraint, InitializerLike, NameAndDType, Regularizer
from dagir.layers.base import Layer
from dagir.layers.core import positive_int

__all__ = [
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
]


class _BaseConv(Layer):
    """The common part of convolution layers: the arguments, their checks, and the end of the call."""

    rank: ClassVar[int]

    def _configure(
        self,
        kernel_size: Sizes,
        strides: Sizes,
        padding: str,
        data_format: str | None,
        dilation_rate: Sizes,
        activation: ActivationLike | None,
        use_bias: bool,
        bias_initializer: InitializerLike,
    ) -> None:
        self.kernel_size = self._ints("kernel_size", kernel_size)
        self.strides = self._ints("strides", strides)
        self.dilation_rate = self._ints("dilation_rate", dilation_rate)
        self.padding = self._checked_padding(padding)
        self.data_format = "channels_last" if data_format is None else data_format
        if self.data_format not in ("channels_last", "channels_first"):
            raise ArgumentError(f"data_format is 'channels_last' or 'channels_first', got {data_format!r}")
        self.activation = activations.get(activation)
        self.use_bias, self.bias_initializer = use_bias, bias_initializer

    def _ints(self, name: str, value: Sizes, least: int = 1) -> tuple[int, ...]:
        numbers = (value,) * self.rank if isinstance(value, int) else value
        listed = isinstance(numbers, (list, tuple)) and len(numbers) == self.rank
        if not listed or any(isinstance(n, bool) or not isinstance(n, int) or n < least for n in numbers):
            kind = f"an int of at least {least}" + (f", or {self.rank} of them" if self.rank > 1 else "")
            raise ArgumentError(f"{type(self).__name__} takes {kind} for {name}, got {value!r}")
        return tuple(numbers)

    def _checked_padding(self, padding: object) -> str:
        known = ("valid", "same", "causal") if type(self) is Conv1D else ("valid", "same")
        if not isinstance(padding, str) or padding.lower() not in known:
            raise ArgumentError(f"{type(self).__name__} takes padding {' or '.join(map(repr, known))}, got {padding!r}")
        return padding.lower()

    def _refuse_strides_with_dilation(self) -> None:
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ArgumentError(
                f"{type(self).__name__} takes strides or dilation_rate above 1, not both: "
                f"{self.strides} and {self.dilation_rate}"
            )

    def _channels(self, input_shape: tuple[int | None, ...]) -> int:
        """The number of channels. Raises ShapeError where the rank is wrong, or it is not a fixed size."""
        first, who = self.data_format == "channels_first", f"{type(self).__name__} layer {self.name!r}"
        if len(input_shape) != self.rank + 2:
            axes = f"channels and {self.rank} spatial axes" if first else f"{self.rank} spatial axes and channels"
            raise ShapeError(
                f"{who} takes values of rank {self.rank + 2}, got {len(input_shape)}",
                remedy=f"give the input a batch axis, then {axes} ({self.data_format})",
            )
        channels = input_shape[1 if first else -1]
        if channels is None:
            raise ShapeError(
                f"{who} makes its kernel from the channel axis, whose size is not known",
                remedy="give the channel axis of the input a fixed size",
            )
        return channels

    def _add_bias(self, size: int) -> None:
        self.bias: Parameter | None = None
        if self.use_bias:
            self.bias = self.add_weight((size,), self.bias_initializer, name="bias")

    def _finish(self, op: Op, x: Value, kernel: Value) -> Value:
        y = apply(op, x, kernel, None if self.bias is None else self.bias.value)
        return self.activation(y)


class _Conv(_BaseConv):
    """A kernel over `rank` spatial axes, each filter on all channels of its group."""

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        groups: int = 1,
        activation: ActivationLike | None = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        activity_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        **kwargs: Unpack[NameAndDType],
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._configure(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, bias_initializer
        )
        self.filters = positive_int(type(self).__name__, "filters", filters)
        self.groups = positive_int(type(self).__name__, "groups", groups)
        self.kernel_initializer = kernel_initializer
        if self.filters % self.groups:
            raise ArgumentError(
                f"{self.filters} filters do not split into {self.groups} groups",
                remedy="choose a number of filters that groups divides",
            )
        self._refuse_strides_with_dilation()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """kernel [*kernel_size, channels/groups, filters], bias [filters]."""
        channels = self._channels(input_shape)
        if channels % self.groups:
            raise ShapeError(
                f"{channels} channels do not split into {self.groups} groups (layer {self.name!r})",
                remedy="choose groups that divides the number of channels",
            )
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = self.add_weight(shape, self.kernel_initializer, name="kernel")
        self._add_bias(self.filters)

    def call(self, inputs: Value) -> Value:
        """x: f[n, *d, c] -> f[n, *e, filters]; channels_first: f[n, c, *d] -> f[n, filters, *e]."""
        op = ops.Conv(self.strides, self.padding, self.dilation_rate, self.groups, self.data_format)
        return self._finish(op, inputs, self.kernel.value)


class Conv1D(_Conv):
    """Convolution over one axis, such as time; padding may be "causal".  keras.layers.Conv1D.

    >>> layers.Conv1D(8, 3)(dagir.Input((10, 4)))
    <Value conv1d float32[batch, 8, 8]>
    """

    rank = 1


class Conv2D(_Conv):
    """Convolution over height and width.  keras.layers.Conv2D.

    >>> layers.Conv2D(8, 3)(dagir.Input((28, 28, 3)))
    <Value conv2d float32[batch, 26, 26, 8]>
    """

    rank = 2


class Conv3D(_Conv):
    """Convolution over three axes.  keras.layers.Conv3D.

    >>> layers.Conv3D(8, 3)(dagir.Input((8, 28, 28, 3)))
    <Value conv3d float32[batch, 6, 26, 26, 8]>
    """

    rank = 3


class _ConvTranspose(_BaseConv):
    """A transposed convolution, the gradient of a convolution: it upsamples with a trained kernel."""

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        output_padding: Sizes | None = None,
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        activation: ActivationLike | None = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        activity_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        **kwargs: Unpack[NameAndDType],
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._configure(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, bias_initializer
        )
        self.filters = positive_int(type(self).__name__, "filters", filters)
        self.kernel_initializer = kernel_initializer
        self._refuse_strides_with_dilation()
        self.output_padding: tuple[int, ...] | None = None
        if output_padding is not None:
            self.output_padding = self._ints("output_padding", output_padding, least=0)
            if any(extra >= stride for extra, stride in zip(self.output_padding, self.strides, strict=True)):
                raise ArgumentError(
                    f"output_padding {self.output_padding} must be below strides {self.strides} on each axis",
                    remedy="leave output_padding out: the output is then strides times the input",
                )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """kernel [*kernel_size, filters, channels], bias [filters]."""
        shape = (*self.kernel_size, self.filters, self._channels(input_shape))
        self.kernel = self.add_weight(shape, self.kernel_initializer, name="kernel")
        self._add_bias(self.filters)

    def call(self, inputs: Value) -> Value:
        """x: f[n, *d, c] -> f[n, *e, filters]; channels_first: f[n, c, *d] -> f[n, filters, *e]."""
        op = ops.ConvTranspose(self.strides, self.padding, self.dilation_rate, 1, self.data_format, self.output_padding)
        return self._finish(op, inputs, self.kernel.value)


class Conv1DTranspose(_ConvTranspose):
    """Transposed convolution over one axis.  keras.layers.Conv1DTranspose.

    output_padding: what is added to the size of the result.

    >>> layers.Conv1DTranspose(8, 3)(dagir.Input((10, 4)))
    <Value conv1d_transpose float32[batch, 12, 8]>
    """

    rank = 1


class Conv2DTranspose(_ConvTranspose):
    """Transposed convolution over height and width.  keras.layers.Conv2DTranspose.

    output_padding: what is added to the size of the result.

    >>> layers.Conv2DTranspose(8, 3)(dagir.Input((28, 28, 3)))
    <Value conv2d_transpose float32[batch, 30, 30, 8]>
    """

    rank = 2


class Conv3DTranspose(_ConvTranspose):
    """Transposed convolution over three axes; its output_padding comes late.  keras.layers.Conv3DTranspose.

    >>> layers.Conv3DTranspose(8, 3)(dagir.Input((8, 28, 28, 3)))
    <Value conv3d_transpose float32[batch, 10, 30, 30, 8]>
    """

    rank = 3

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: Sizes | None = None,
        dilation_rate: Sizes = 1,
        activation: ActivationLike | None = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        activity_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        **kwargs: Unpack[NameAndDType],
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            output_padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
