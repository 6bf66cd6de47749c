"""Pooling layers, over windows and over all places."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from dagir import ops
from dagir.errors import ArgumentError, ShapeError
from dagir.ir.graph import Op, Structure, Value, apply
from dagir.ir.types import Sizes
from dagir.layers.argument_types import LayerOptions, Mask, UnnamedOptions
from dagir.layers.base import Layer

__all__ = [
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
]


def checked_data_format(data_format: str | None) -> str:
    """The data format, channels_last by default. Raises ArgumentError."""
    if data_format not in (None, "channels_last", "channels_first"):
        raise ArgumentError(f"data_format is 'channels_last' or 'channels_first', got {data_format!r}")
    return data_format or "channels_last"


def checked_ints(layer: str, name: str, value: Any, count: int, least: int = 1) -> tuple[int, ...]:
    """`count` ints of at least `least`, from an int for all or a sequence. Raises ArgumentError."""
    numbers = (value,) * count if isinstance(value, int) else value
    listed = isinstance(numbers, (list, tuple)) and len(numbers) == count
    if not listed or any(isinstance(n, bool) or not isinstance(n, int) or n < least for n in numbers):
        kind = f"an int of at least {least}" + (f", or {count} of them" if count > 1 else "")
        raise ArgumentError(f"{layer} takes {kind} for {name}, got {value!r}")
    return tuple(numbers)


def check_rank(layer: Layer, inputs: Value, rank: int) -> None:
    """Raise ShapeError unless the value has `rank` axes."""
    if inputs.ndim != rank:
        raise ShapeError(
            f"{type(layer).__name__} layer {layer.name!r} takes values of rank {rank}, got {inputs.ndim}",
            remedy=f"reshape the input to {rank} axes, the batch first",
        )


class _Pooling(Layer):
    """A window that slides over the spatial axes."""

    rank: ClassVar[int]
    op: ClassVar[type[ops.MaxPool | ops.AveragePool]]

    def _configure(self, pool_size: Sizes, strides: Sizes | None, padding: str, data_format: str | None) -> None:
        name = type(self).__name__
        self.pool_size = checked_ints(name, "pool_size", pool_size, self.rank)
        self.strides = self.pool_size if strides is None else checked_ints(name, "strides", strides, self.rank)
        if padding not in ("valid", "same"):
            raise ArgumentError(f"{name} takes padding 'valid' or 'same', got {padding!r}")
        self.padding = padding
        self.data_format = checked_data_format(data_format)

    def call(self, inputs: Value) -> Value:
        """x: f[n, *d, c] -> f[n, *e, c]."""
        check_rank(self, inputs, self.rank + 2)
        op: Op = self.op(self.pool_size, self.strides, self.padding, self.data_format)
        return apply(op, inputs)


class MaxPooling1D(_Pooling):
    """The largest of each window of steps.  keras.layers.MaxPooling1D.

    >>> layers.MaxPooling1D(2)(dagir.Input((10, 4)))
    <Value max_pooling1d float32[batch, 5, 4]>
    """

    rank, op = 1, ops.MaxPool

    def __init__(
        self,
        pool_size: Sizes = 2,
        strides: Sizes | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Unpack[UnnamedOptions],
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._configure(pool_size, strides, padding, data_format)


class MaxPooling2D(_Pooling):
    """The largest of each window of pixels.  keras.layers.MaxPooling2D.

    >>> layers.MaxPooling2D(2)(dagir.Input((28, 28, 3)))
    <Value max_pooling2d float32[batch, 14, 14, 3]>
    """

    rank, op = 2, ops.MaxPool

    def __init__(
        self,
        pool_size: Sizes = (2, 2),
        strides: Sizes | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Unpack[UnnamedOptions],
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._configure(pool_size, strides, padding, data_format)


class MaxPooling3D(_Pooling):
    """The largest of each window of voxels.  keras.layers.MaxPooling3D.

    >>> layers.MaxPooling3D(2)(dagir.Input((8, 28, 28, 3)))
    <Value max_pooling3d float32[batch, 4, 14, 14, 3]>
    """

    rank, op = 3, ops.MaxPool

    def __init__(
        self,
        pool_size: Sizes = (2, 2, 2),
        strides: Sizes | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Unpack[UnnamedOptions],
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._configure(pool_size, strides, padding, data_format)


class _AveragePooling(_Pooling):
    """The mean of each window; padding is not counted."""

    op = ops.AveragePool

    def __init__(
        self,
        pool_size: Sizes,
        strides: Sizes | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Unpack[UnnamedOptions],
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._configure(pool_size, strides, padding, data_format)


class AveragePooling1D(_AveragePooling):
    """The mean of each window of steps.  keras.layers.AveragePooling1D.

    >>> layers.AveragePooling1D(2)(dagir.Input((10, 4)))
    <Value average_pooling1d float32[batch, 5, 4]>
    """

    rank = 1


class AveragePooling2D(_AveragePooling):
    """The mean of each window of pixels.  keras.layers.AveragePooling2D.

    >>> layers.AveragePooling2D(2)(dagir.Input((28, 28, 3)))
    <Value average_pooling2d float32[batch, 14, 14, 3]>
    """

    rank = 2


class AveragePooling3D(_AveragePooling):
    """The mean of each window of voxels.  keras.layers.AveragePooling3D.

    >>> layers.AveragePooling3D(2)(dagir.Input((8, 28, 28, 3)))
    <Value average_pooling3d float32[batch, 4, 14, 14, 3]>
    """

    rank = 3


class _GlobalPooling(Layer):
    """One number for each channel, over all places."""

    rank: ClassVar[int]

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.data_format, self.keepdims = checked_data_format(data_format), bool(keepdims)

    @property
    def axes(self) -> tuple[int, ...]:
        """The spatial axes."""
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))


class _GlobalAveragePooling(_GlobalPooling):
    def call(self, inputs: Value) -> Value:
        """x: f[n, *d, c] -> f[n, c], or f[n, *1, c] with keepdims."""
        check_rank(self, inputs, self.rank + 2)
        return ops.mean(inputs, self.axes, self.keepdims)


class _GlobalMaxPooling(_GlobalPooling):
    def call(self, inputs: Value) -> Value:
        """x: t[n, *d, c] -> t[n, c], or t[n, *1, c] with keepdims."""
        check_rank(self, inputs, self.rank + 2)
        return ops.max(inputs, self.axes, self.keepdims)


class GlobalAveragePooling1D(_GlobalPooling):
    """The mean over all steps, over the unmasked ones where there is a mask.  keras.layers.GlobalAveragePooling1D.

    >>> layers.GlobalAveragePooling1D()(dagir.Input((10, 4)))
    <Value global_average_pooling1d float32[batch, 4]>
    """

    rank = 1
    supports_masking = True

    def call(self, inputs: Value, mask: Value | None = None) -> Value:
        """x: f[n, t, c], mask: bool[n, t]? -> f[n, c]. A sequence without any unmasked step gives NaN, as in Keras."""
        check_rank(self, inputs, 3)
        if mask is None:
            return ops.mean(inputs, self.axes, self.keepdims)
        kept = ops.expand_dims(ops.cast(mask, "bool"), 2 if self.data_format == "channels_last" else 1)
        total = ops.sum(ops.where(kept, inputs, 0), self.axes, self.keepdims)
        return ops.divide(total, ops.sum(ops.cast(kept, inputs.dtype), self.axes, self.keepdims))

    def compute_mask(self, inputs: Structure, mask: Mask = None) -> None:
        """None: the steps are gone."""


class GlobalAveragePooling2D(_GlobalAveragePooling):
    """The mean over all pixels.  keras.layers.GlobalAveragePooling2D.

    >>> layers.GlobalAveragePooling2D()(dagir.Input((28, 28, 3)))
    <Value global_average_pooling2d float32[batch, 3]>
    """

    rank = 2


class GlobalAveragePooling3D(_GlobalAveragePooling):
    """The mean over all voxels.  keras.layers.GlobalAveragePooling3D.

    >>> layers.GlobalAveragePooling3D()(dagir.Input((8, 28, 28, 3)))
    <Value global_average_pooling3d float32[batch, 3]>
    """

    rank = 3


class GlobalMaxPooling1D(_GlobalMaxPooling):
    """The largest over all steps.  keras.layers.GlobalMaxPooling1D.

    >>> layers.GlobalMaxPooling1D()(dagir.Input((10, 4)))
    <Value global_max_pooling1d float32[batch, 4]>
    """

    rank = 1


class GlobalMaxPooling2D(_GlobalMaxPooling):
    """The largest over all pixels.  keras.layers.GlobalMaxPooling2D.

    >>> layers.GlobalMaxPooling2D()(dagir.Input((28, 28, 3)))
    <Value global_max_pooling2d float32[batch, 3]>
    """

    rank = 2


class GlobalMaxPooling3D(_GlobalMaxPooling):
    """The largest over all voxels.  keras.layers.GlobalMaxPooling3D.

    >>> layers.GlobalMaxPooling3D()(dagir.Input((8, 28, 28, 3)))
    <Value global_max_pooling3d float32[batch, 3]>
    """

    rank = 3


MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D
GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D = (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
)
