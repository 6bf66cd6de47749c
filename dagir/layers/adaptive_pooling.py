"""Adaptive pooling: the number of windows is given; together they cover the axis."""

from __future__ import annotations

from typing import ClassVar, Unpack

from dagir import ops
from dagir.ir.graph import Value, apply
from dagir.ir.types import Sizes
from dagir.layers.argument_types import LayerOptions
from dagir.layers.base import Layer
from dagir.layers.pooling import check_rank, checked_data_format, checked_ints

__all__ = [
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
]


class _AdaptivePooling(Layer):
    """Window i runs from floor(i * size / number) to ceil((i + 1) * size / number). Sizes must be known."""

    rank: ClassVar[int]
    op: ClassVar[type[ops.AdaptiveMaxPool | ops.AdaptiveAveragePool]]

    def __init__(self, output_size: Sizes, data_format: str | None = None, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.output_size = checked_ints(type(self).__name__, "output_size", output_size, self.rank)
        self.data_format = checked_data_format(data_format)

    def call(self, inputs: Value) -> Value:
        """x: f[n, *d, c] -> f[n, *output_size, c]."""
        check_rank(self, inputs, self.rank + 2)
        return apply(self.op(self.output_size, self.data_format), inputs)


class AdaptiveMaxPooling1D(_AdaptivePooling):
    """The largest of each of `output_size` windows of steps.  keras.layers.AdaptiveMaxPooling1D.

    >>> layers.AdaptiveMaxPooling1D(2)(dagir.Input((10, 4)))
    <Value adaptive_max_pooling1d float32[batch, 2, 4]>
    """

    rank, op = 1, ops.AdaptiveMaxPool


class AdaptiveMaxPooling2D(_AdaptivePooling):
    """The largest of each of `output_size` windows of pixels.  keras.layers.AdaptiveMaxPooling2D.

    >>> layers.AdaptiveMaxPooling2D(2)(dagir.Input((28, 28, 3)))
    <Value adaptive_max_pooling2d float32[batch, 2, 2, 3]>
    """

    rank, op = 2, ops.AdaptiveMaxPool


class AdaptiveMaxPooling3D(_AdaptivePooling):
    """The largest of each of `output_size` windows of voxels.  keras.layers.AdaptiveMaxPooling3D.

    >>> layers.AdaptiveMaxPooling3D(2)(dagir.Input((8, 28, 28, 3)))
    <Value adaptive_max_pooling3d float32[batch, 2, 2, 2, 3]>
    """

    rank, op = 3, ops.AdaptiveMaxPool


class AdaptiveAveragePooling1D(_AdaptivePooling):
    """The mean of each of `output_size` windows of steps.  keras.layers.AdaptiveAveragePooling1D.

    >>> layers.AdaptiveAveragePooling1D(2)(dagir.Input((10, 4)))
    <Value adaptive_average_pooling1d float32[batch, 2, 4]>
    """

    rank, op = 1, ops.AdaptiveAveragePool


class AdaptiveAveragePooling2D(_AdaptivePooling):
    """The mean of each of `output_size` windows of pixels.  keras.layers.AdaptiveAveragePooling2D.

    >>> layers.AdaptiveAveragePooling2D(2)(dagir.Input((28, 28, 3)))
    <Value adaptive_average_pooling2d float32[batch, 2, 2, 3]>
    """

    rank, op = 2, ops.AdaptiveAveragePool


class AdaptiveAveragePooling3D(_AdaptivePooling):
    """The mean of each of `output_size` windows of voxels.  keras.layers.AdaptiveAveragePooling3D.

    >>> layers.AdaptiveAveragePooling3D(2)(dagir.Input((8, 28, 28, 3)))
    <Value adaptive_average_pooling3d float32[batch, 2, 2, 2, 3]>
    """

    rank, op = 3, ops.AdaptiveAveragePool
