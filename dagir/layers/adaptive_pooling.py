"""Adaptive pooling: how many windows there are is given, and they share the axis out."""

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
    """The largest of each of `output_size` windows of steps.  keras.layers.AdaptiveMaxPooling1D."""

    rank, op = 1, ops.AdaptiveMaxPool


class AdaptiveMaxPooling2D(_AdaptivePooling):
    """The largest of each of `output_size` windows of pixels.  keras.layers.AdaptiveMaxPooling2D."""

    rank, op = 2, ops.AdaptiveMaxPool


class AdaptiveMaxPooling3D(_AdaptivePooling):
    """The largest of each of `output_size` windows of voxels.  keras.layers.AdaptiveMaxPooling3D."""

    rank, op = 3, ops.AdaptiveMaxPool


class AdaptiveAveragePooling1D(_AdaptivePooling):
    """The mean of each of `output_size` windows of steps.  keras.layers.AdaptiveAveragePooling1D."""

    rank, op = 1, ops.AdaptiveAveragePool


class AdaptiveAveragePooling2D(_AdaptivePooling):
    """The mean of each of `output_size` windows of pixels.  keras.layers.AdaptiveAveragePooling2D."""

    rank, op = 2, ops.AdaptiveAveragePool


class AdaptiveAveragePooling3D(_AdaptivePooling):
    """The mean of each of `output_size` windows of voxels.  keras.layers.AdaptiveAveragePooling3D."""

    rank, op = 3, ops.AdaptiveAveragePool
