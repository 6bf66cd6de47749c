"""Convolutions of each channel on its own, and what follows them."""

from __future__ import annotations

from typing import Unpack

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import Sizes
from dagir.layers.argument_types import ActivationLike, Constraint, InitializerLike, NameAndDType, Regularizer
from dagir.layers.conv import _BaseConv
from dagir.layers.core import positive_int

__all__ = [
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
]


class _DepthwiseConv(_BaseConv):
    """Each channel convolved on its own, with depth_multiplier filters."""

    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        activation: ActivationLike | None = None,
        use_bias: bool = True,
        depthwise_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        depthwise_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        activity_regularizer: Regularizer | None = None,
        depthwise_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        **kwargs: Unpack[NameAndDType],
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._configure(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, bias_initializer
        )
        self.depth_multiplier = positive_int(type(self).__name__, "depth_multiplier", depth_multiplier)
        self.depthwise_initializer = depthwise_initializer

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """kernel [*kernel_size, channels, depth_multiplier], bias [channels * depth_multiplier]."""
        channels = self._channels(input_shape)
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.kernel = self.add_weight(shape, self.depthwise_initializer, name="kernel")
        self._add_bias(channels * self.depth_multiplier)

    def call(self, inputs: Value) -> Value:
        """x: f[n, *d, c] -> f[n, *e, c*m]; channels_first: f[n, c, *d] -> f[n, c*m, *e]."""
        *sizes, channels, multiplier = self.kernel.shape
        op = ops.Conv(self.strides, self.padding, self.dilation_rate, channels, self.data_format)
        return self._finish(op, inputs, ops.reshape(self.kernel, (*sizes, 1, channels * multiplier)))


class DepthwiseConv1D(_DepthwiseConv):
    """Depthwise convolution over one axis.  keras.layers.DepthwiseConv1D.

    >>> layers.DepthwiseConv1D(3)(dagir.Input((10, 4)))
    <Value depthwise_conv1d float32[batch, 8, 4]>
    """

    rank = 1


class DepthwiseConv2D(_DepthwiseConv):
    """Depthwise convolution over height and width.  keras.layers.DepthwiseConv2D.

    >>> layers.DepthwiseConv2D(3)(dagir.Input((28, 28, 3)))
    <Value depthwise_conv2d float32[batch, 26, 26, 3]>
    """

    rank = 2


class _SeparableConv(_BaseConv):
    """A depthwise convolution, then one of size 1 that mixes the channels."""

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        depth_multiplier: int = 1,
        activation: ActivationLike | None = None,
        use_bias: bool = True,
        depthwise_initializer: InitializerLike = "glorot_uniform",
        pointwise_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        depthwise_regularizer: Regularizer | None = None,
        pointwise_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        activity_regularizer: Regularizer | None = None,
        depthwise_constraint: Constraint | None = None,
        pointwise_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        **kwargs: Unpack[NameAndDType],
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._configure(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, bias_initializer
        )
        self.filters = positive_int(type(self).__name__, "filters", filters)
        self.depth_multiplier = positive_int(type(self).__name__, "depth_multiplier", depth_multiplier)
        self.depthwise_initializer, self.pointwise_initializer = depthwise_initializer, pointwise_initializer

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """depthwise_kernel [*kernel_size, c, m], pointwise_kernel [*ones, c*m, filters], bias [filters]."""
        channels, multiplier = self._channels(input_shape), self.depth_multiplier
        depthwise = (*self.kernel_size, channels, multiplier)
        pointwise = (*(1,) * self.rank, channels * multiplier, self.filters)
        self.depthwise_kernel = self.add_weight(depthwise, self.depthwise_initializer, name="depthwise_kernel")
        self.pointwise_kernel = self.add_weight(pointwise, self.pointwise_initializer, name="pointwise_kernel")
        self._add_bias(self.filters)

    def call(self, inputs: Value) -> Value:
        """x: f[n, *d, c] -> f[n, *e, filters]; channels_first: f[n, c, *d] -> f[n, filters, *e]."""
        y = ops.depthwise_conv(
            inputs, self.depthwise_kernel, self.strides, self.padding, self.data_format, self.dilation_rate
        )
        ones = (1,) * self.rank
        return self._finish(ops.Conv(ones, "valid", ones, 1, self.data_format), y, self.pointwise_kernel.value)


class SeparableConv1D(_SeparableConv):
    """Separable convolution over one axis.  keras.layers.SeparableConv1D.

    >>> layers.SeparableConv1D(8, 3)(dagir.Input((10, 4)))
    <Value separable_conv1d float32[batch, 8, 8]>
    """

    rank = 1


class SeparableConv2D(_SeparableConv):
    """Separable convolution over height and width.  keras.layers.SeparableConv2D.

    >>> layers.SeparableConv2D(8, 3)(dagir.Input((28, 28, 3)))
    <Value separable_conv2d float32[batch, 26, 26, 8]>
    """

    rank = 2
