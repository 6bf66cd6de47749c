"""Layers that move elements: reshaping, padding, cropping, upsampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

from dagir import ops
from dagir.errors import ArgumentError, ShapeError
from dagir.ir.graph import Value
from dagir.ir.types import Sizes
from dagir.layers.argument_types import LayerOptions
from dagir.layers.base import Layer
from dagir.layers.core import positive_int
from dagir.layers.pooling import check_rank, checked_data_format, checked_ints
from dagir.layers.resizing import checked_interpolation

__all__ = [
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Flatten",
    "Permute",
    "RepeatVector",
    "Reshape",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
]


class Flatten(Layer):
    """All axes after the batch as one; channels_first moves the channels to the end first.  keras.layers.Flatten.

    >>> layers.Flatten()(dagir.Input((28, 28, 3)))
    <Value flatten float32[batch, 2352]>
    """

    def __init__(self, data_format: str | None = None, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.data_format = checked_data_format(data_format)

    def call(self, inputs: Value) -> Value:
        """x: t[n, *s] -> t[n, product of s]."""
        if inputs.ndim < 1:
            raise ShapeError("Flatten takes values of rank 1 or more, got a scalar")
        if self.data_format == "channels_first" and inputs.ndim > 2:
            inputs = ops.transpose(inputs, (0, *range(2, inputs.ndim), 1))
        if inputs.ndim == 1:
            return ops.expand_dims(inputs, 1)
        size = 1
        for each in inputs.type.shape[1:]:
            size = each * size  # type: ignore[assignment]
        return ops.reshape(inputs, (inputs.type.shape[0], size))


class Reshape(Layer):
    """The axes after the batch in another shape; one size may be -1.  keras.layers.Reshape.

    target_shape: sizes, without the batch.

    >>> layers.Reshape((7, -1))(dagir.Input((28,)))
    <Value reshape float32[batch, 7, 4]>
    """

    def __init__(self, target_shape: Sequence[int | None], **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        if not isinstance(target_shape, (list, tuple)):
            raise ArgumentError(f"Reshape takes a tuple for target_shape, got {target_shape!r}")
        self.target_shape = tuple(target_shape)
        for size in self.target_shape:
            if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < -1):
                raise ArgumentError(f"Reshape takes ints of at least 0, -1 or None as sizes, got {size!r}")
        if self.target_shape.count(-1) > 1:
            raise ArgumentError(
                f"Reshape takes at most one -1, got {self.target_shape}", remedy="give all sizes but one"
            )

    def call(self, inputs: Value) -> Value:
        """x: t[n, *s] -> t[n, *target_shape]. None is inferred as -1 is, or keeps the size of its axis."""
        batch, *sizes = inputs.type.shape
        target: list[Any] = list(self.target_shape)
        if target.count(None) == 1 and -1 not in target:
            target[target.index(None)] = -1
        for axis, size in enumerate(target):
            if size is None:
                if axis >= len(sizes):
                    raise ShapeError(
                        f"the size of axis {axis + 1} of target_shape {self.target_shape} cannot be worked out",
                        remedy="leave one size only to None or -1",
                    )
                target[axis] = sizes[axis]
        return ops.reshape(inputs, (batch, *target))


class Permute(Layer):
    """The axes after the batch in another order, counted from 1.  keras.layers.Permute.

    dims: for each axis of the result the axis of the input.

    >>> layers.Permute((2, 1))(dagir.Input((10, 4)))
    <Value permute float32[batch, 4, 10]>
    """

    def __init__(self, dims: Sequence[int], **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ArgumentError(f"Permute takes the axes 1 to {len(self.dims)} in some order for dims, got {dims!r}")

    def call(self, inputs: Value) -> Value:
        """x: t[n, *s] -> t[n, *(s in the order of dims)]."""
        check_rank(self, inputs, len(self.dims) + 1)
        return ops.transpose(inputs, (0, *self.dims))


class RepeatVector(Layer):
    """The vector n times, as a sequence.  keras.layers.RepeatVector.

    >>> layers.RepeatVector(5)(dagir.Input((4,)))
    <Value repeat_vector float32[batch, 5, 4]>
    """

    def __init__(self, n: int, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.n = positive_int("RepeatVector", "n", n)

    def call(self, inputs: Value) -> Value:
        """x: t[b, c] -> t[b, n, c]."""
        check_rank(self, inputs, 2)
        return ops.tile(ops.expand_dims(inputs, 1), (1, self.n, 1))


def _pairs(layer: str, name: str, value: object, rank: int) -> tuple[tuple[int, ...], ...]:
    """(before, after) for each axis: from an int for all, or for each axis an int or a pair."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = (value,) * rank
    if not isinstance(value, (list, tuple)) or len(value) != rank:
        raise ArgumentError(f"{layer} takes an int or {rank} pairs for {name}, got {value!r}")
    return tuple(checked_ints(layer, name, entry, 2, least=0) for entry in value)


class _Edges(Layer):
    """The common part of padding and cropping: a pair for each spatial axis, mapped to the axes of the input."""

    rank: ClassVar[int]
    data_format: str

    def _resized(self, inputs: Value, pairs: Sequence[Sequence[int]], sign: int) -> Value:
        check_rank(self, inputs, self.rank + 2)
        first = 1 if self.data_format == "channels_last" else 2
        pads = [(0, 0)] * inputs.ndim
        for axis, (before, after) in enumerate(pairs, start=first):
            size = inputs.type.shape[axis]
            if sign < 0 and isinstance(size, int) and before + after >= size:
                raise ShapeError(
                    f"{type(self).__name__} cuts {before} + {after} off axis {axis}, which has {size}",
                    remedy="crop less than the size of the axis",
                )
            pads[axis] = (sign * before, sign * after)
        return ops.pad(inputs, pads)


class ZeroPadding1D(_Edges):
    """Zeros before and after the steps.  keras.layers.ZeroPadding1D.

    padding: steps (before, after), or one int for both.

    >>> layers.ZeroPadding1D(1)(dagir.Input((10, 4)))
    <Value zero_padding1d float32[batch, 12, 4]>
    """

    rank = 1

    def __init__(
        self,
        padding: int | Sequence[int | Sequence[int]] = 1,
        data_format: str | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.padding = checked_ints("ZeroPadding1D", "padding", padding, 2, least=0)
        self.data_format = checked_data_format(data_format)

    def call(self, inputs: Value) -> Value:
        """x: t[n, d, c] -> t[n, before + d + after, c]."""
        return self._resized(inputs, (self.padding,), 1)


class ZeroPadding2D(_Edges):
    """Zeros around the pixels.  keras.layers.ZeroPadding2D.

    padding: one int, one for each axis, or (before, after) for each axis.

    >>> layers.ZeroPadding2D(1)(dagir.Input((28, 28, 3)))
    <Value zero_padding2d float32[batch, 30, 30, 3]>
    """

    rank = 2

    def __init__(
        self,
        padding: int | Sequence[int | Sequence[int]] = (1, 1),
        data_format: str | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.padding = _pairs("ZeroPadding2D", "padding", padding, 2)
        self.data_format = checked_data_format(data_format)

    def call(self, inputs: Value) -> Value:
        """x: t[n, *d, c] -> t[n, *(before + d + after), c]."""
        return self._resized(inputs, self.padding, 1)


class ZeroPadding3D(_Edges):
    """Zeros around the voxels.  keras.layers.ZeroPadding3D.

    padding: one int, one for each axis, or (before, after) for each axis.

    >>> layers.ZeroPadding3D(1)(dagir.Input((8, 28, 28, 3)))
    <Value zero_padding3d float32[batch, 10, 30, 30, 3]>
    """

    rank = 3

    def __init__(
        self,
        padding: int | Sequence[int | Sequence[int]] = ((1, 1), (1, 1), (1, 1)),
        data_format: str | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.padding = _pairs("ZeroPadding3D", "padding", padding, 3)
        self.data_format = checked_data_format(data_format)

    def call(self, inputs: Value) -> Value:
        """x: t[n, *d, c] -> t[n, *(before + d + after), c]."""
        return self._resized(inputs, self.padding, 1)


class Cropping1D(_Edges):
    """Steps cut off at both ends.  keras.layers.Cropping1D.

    cropping: steps (before, after), or one int for both.

    >>> layers.Cropping1D(1)(dagir.Input((10, 4)))
    <Value cropping1d float32[batch, 8, 4]>
    """

    rank = 1
    data_format = "channels_last"

    def __init__(self, cropping: int | Sequence[int | Sequence[int]] = (1, 1), **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.cropping = checked_ints("Cropping1D", "cropping", cropping, 2, least=0)

    def call(self, inputs: Value) -> Value:
        """x: t[n, d, c] -> t[n, d - before - after, c]."""
        return self._resized(inputs, (self.cropping,), -1)


class Cropping2D(_Edges):
    """Pixels cut off at the edges.  keras.layers.Cropping2D.

    cropping: one int, one for each axis, or (before, after) for each axis.

    >>> layers.Cropping2D(1)(dagir.Input((28, 28, 3)))
    <Value cropping2d float32[batch, 26, 26, 3]>
    """

    rank = 2

    def __init__(
        self,
        cropping: int | Sequence[int | Sequence[int]] = ((0, 0), (0, 0)),
        data_format: str | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.cropping = _pairs("Cropping2D", "cropping", cropping, 2)
        self.data_format = checked_data_format(data_format)

    def call(self, inputs: Value) -> Value:
        """x: t[n, *d, c] -> t[n, *(d - before - after), c]."""
        return self._resized(inputs, self.cropping, -1)


class Cropping3D(_Edges):
    """Voxels cut off at the edges.  keras.layers.Cropping3D.

    cropping: one int, one for each axis, or (before, after) for each axis.

    >>> layers.Cropping3D(1)(dagir.Input((8, 28, 28, 3)))
    <Value cropping3d float32[batch, 6, 26, 26, 3]>
    """

    rank = 3

    def __init__(
        self,
        cropping: int | Sequence[int | Sequence[int]] = ((1, 1), (1, 1), (1, 1)),
        data_format: str | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.cropping = _pairs("Cropping3D", "cropping", cropping, 3)
        self.data_format = checked_data_format(data_format)

    def call(self, inputs: Value) -> Value:
        """x: t[n, *d, c] -> t[n, *(d - before - after), c]."""
        return self._resized(inputs, self.cropping, -1)


class UpSampling1D(Layer):
    """Each step `size` times.  keras.layers.UpSampling1D.

    >>> layers.UpSampling1D(2)(dagir.Input((10, 4)))
    <Value up_sampling1d float32[batch, 20, 4]>
    """

    def __init__(self, size: int = 2, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.size = positive_int("UpSampling1D", "size", size)

    def call(self, inputs: Value) -> Value:
        """x: t[n, d, c] -> t[n, d * size, c]."""
        check_rank(self, inputs, 3)
        return ops.upsample(inputs, (self.size,))


class UpSampling2D(Layer):
    """Each axis of the image grown by a whole factor, with any interpolation.  keras.layers.UpSampling2D.

    size: the factor, or one for each axis.

    >>> layers.UpSampling2D(2)(dagir.Input((28, 28, 3)))
    <Value up_sampling2d float32[batch, 56, 56, 3]>
    """

    def __init__(
        self,
        size: Sizes = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.size = checked_ints("UpSampling2D", "size", size, 2)
        self.data_format = checked_data_format(data_format)
        self.interpolation = checked_interpolation("UpSampling2D", interpolation)

    def call(self, inputs: Value) -> Value:
        """x: f[n, h, w, c] -> f[n, h * size[0], w * size[1], c]."""
        check_rank(self, inputs, 4)
        if self.interpolation in ("nearest", "bilinear"):
            return ops.upsample(inputs, self.size, self.interpolation, self.data_format)
        first = 1 if self.data_format == "channels_last" else 2
        size = [inputs.type.shape[first + place] * factor for place, factor in enumerate(self.size)]
        return ops.image.resize(inputs, size, self.interpolation, data_format=self.data_format)


class UpSampling3D(Layer):
    """Each voxel repeated along the three axes.  keras.layers.UpSampling3D.

    size: the factor, or one for each axis.

    >>> layers.UpSampling3D(2)(dagir.Input((8, 28, 28, 3)))
    <Value up_sampling3d float32[batch, 16, 56, 56, 3]>
    """

    def __init__(self, size: Sizes = (2, 2, 2), data_format: str | None = None, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.size = checked_ints("UpSampling3D", "size", size, 3)
        self.data_format = checked_data_format(data_format)

    def call(self, inputs: Value) -> Value:
        """x: t[n, *d, c] -> t[n, *(d * size), c]."""
        check_rank(self, inputs, 5)
        return ops.upsample(inputs, self.size, "nearest", self.data_format)
