"""Images of another size or contrast: Resizing, CenterCrop, AutoContrast."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from dagir import ops
from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim, max_dim, min_dim
from dagir.ir.graph import Value
from dagir.ir.types import DType
from dagir.layers.argument_types import ImageOptions, LayerOptions, Range
from dagir.layers.base import Layer
from dagir.layers.core import positive_int
from dagir.layers.pooling import checked_data_format
from dagir.ops.image import ratio_window
from dagir.ops.interpolation import RADII

__all__ = [
    "AutoContrast",
    "CenterCrop",
    "Resizing",
]


class ImageLayer(Layer):
    """The common part of image layers: they take a batch of rank 4 or one image of rank 3."""

    data_format: str

    def check_dtype(self, inputs: object) -> None:
        """Any numbers are taken, and cast."""

    def spatial_axes(self, images: Value) -> tuple[int, int]:
        """The axes of height and width. Raises ShapeError."""
        if images.ndim not in (3, 4):
            raise ShapeError(
                f"{type(self).__name__} layer {self.name!r} takes a batch of images, of rank 4, or one of rank 3, "
                f"got rank {images.ndim}"
            )
        return (
            (images.ndim - 2, images.ndim - 1)
            if self.data_format == "channels_first"
            else (
                images.ndim - 3,
                images.ndim - 2,
            )
        )


def checked_interpolation(layer: str, interpolation: object) -> str:
    """The interpolation in lower case. Raises ArgumentError."""
    known = ["nearest", *RADII]
    if not isinstance(interpolation, str) or interpolation.lower() not in known:
        raise ArgumentError(f"{layer} takes {', '.join(known)} for interpolation, got {interpolation!r}")
    return interpolation.lower()


class Resizing(ImageLayer):
    """Images resized to (height, width), in their own dtype; whole numbers are rounded.  keras.layers.Resizing.

    crop_to_aspect_ratio, pad_to_aspect_ratio: keep the ratio, by cutting or by filling. antialias: filter before
    shrinking.

    >>> layers.Resizing(24, 32)(dagir.Input((28, 28, 3)))
    <Value resizing float32[batch, 24, 32, 3]>
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.height, self.width = (positive_int("Resizing", *pair) for pair in (("height", height), ("width", width)))
        self.interpolation = checked_interpolation("Resizing", interpolation)
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise ArgumentError("Resizing takes one of crop_to_aspect_ratio and pad_to_aspect_ratio, not both")
        if fill_mode != "constant":
            raise ArgumentError(f"Resizing takes fill_mode 'constant' only, got {fill_mode!r}")
        self.crop_to_aspect_ratio, self.pad_to_aspect_ratio = bool(crop_to_aspect_ratio), bool(pad_to_aspect_ratio)
        self.fill_mode, self.fill_value, self.antialias = fill_mode, fill_value, bool(antialias)
        self.data_format = checked_data_format(data_format)

    def call(self, data: Value, training: bool = True) -> Value:
        """x: number[n, h, w, c] -> [n, height, width, c]."""
        self.spatial_axes(data)
        images = ops.cast(data, self.dtype) if data.dtype.is_float else data
        resized = ops.image.resize(
            images,
            (self.height, self.width),
            self.interpolation,
            self.antialias,
            self.crop_to_aspect_ratio,
            self.pad_to_aspect_ratio,
            self.fill_mode,
            self.fill_value,
            self.data_format,
        )
        return resized if resized.dtype is images.dtype else saturating_cast(ops.round(resized), images.dtype)


def saturating_cast(x: Value, dtype: DType) -> Value:
    """Cast floats to integers; a number outside the range becomes the nearest end of it.  keras.ops.saturate_cast."""
    whole, float_type = np.iinfo(dtype.numpy), x.dtype.numpy
    low, high = (np.asarray(end).astype(float_type) for end in (whole.min, whole.max))
    if int(high) > whole.max:  # not representable: the nearest number that is
        high = np.nextafter(high, 0, dtype=float_type)
    return ops.cast(ops.clip(x, float(low), float(high)), dtype)


class CenterCrop(ImageLayer):
    """The middle of the images; smaller images are cut to the aspect ratio and resized.  keras.layers.CenterCrop.

    height, width: in pixels.

    >>> layers.CenterCrop(24, 24)(dagir.Input((28, 28, 3)))
    <Value center_crop float32[batch, 24, 24, 3]>
    """

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.height, self.width = (positive_int("CenterCrop", *pair) for pair in (("height", height), ("width", width)))
        self.data_format = checked_data_format(data_format)

    def call(self, data: Value, training: bool = True) -> Value:
        """x: number[n, h, w, c] -> f[n, height, width, c]."""
        return center_crop(
            ops.cast(data, self.dtype), (self.height, self.width), self.spatial_axes(data), self.data_format
        )


def center_crop(images: Value, target: tuple[int, int], axes: tuple[int, int], data_format: str) -> Value:
    """The middle part, in the target size. For unknown sizes it is decided at run time whether it fits."""
    sizes = [images.type.shape[axis] for axis in axes]
    spare = min_dim(*(size - wanted for size, wanted in zip(sizes, target, strict=True)))
    fits: Dim = min_dim(max_dim(spare + 1, 0), 1)  # 1 or 0
    cut = ratio_window(sizes, target)
    kept = [fits * wanted + (1 - fits) * part for wanted, part in zip(target, cut, strict=True)]
    starts = [(size - part) // 2 for size, part in zip(sizes, kept, strict=True)]
    return ops.image.resize(ops.window(images, axes, starts, kept), target, data_format=data_format)


class AutoContrast(ImageLayer):
    """Each channel stretched to the whole value range, at inference too.  keras.layers.AutoContrast.

    >>> layers.AutoContrast()(dagir.Input((28, 28, 3)))
    <Value auto_contrast float32[batch, 28, 28, 3]>
    """

    def __init__(self, value_range: Range = (0, 255), **kwargs: Unpack[ImageOptions]) -> None:
        data_format = kwargs.pop("data_format", None)
        kwargs.pop("bounding_box_format", None)
        options: LayerOptions = kwargs
        super().__init__(**options)
        self.data_format = checked_data_format(data_format)
        if not isinstance(value_range, (list, tuple)) or len(value_range) != 2:
            raise ArgumentError(f"AutoContrast takes two numbers for value_range, got {value_range!r}")
        self.value_range = sorted(value_range)

    def call(self, data: Value, training: bool | None = None) -> Value:
        """x: number[n, h, w, c] -> f[n, h, w, c]; a channel with one value only stays as it is.

        The axes are 1 and 2 in either layout.
        """
        self.spatial_axes(data)
        given = ops.cast(data, self.dtype)
        x = ops.expand_dims(given, 0) if given.ndim == 3 else given
        low, high = self.value_range
        plain = (low, high) == (0, 255)
        y = x if plain else (x - low) / (high - low) * 255.0
        least = ops.min(y, axis=(1, 2), keepdims=True)
        scale = 255.0 / (ops.max(y, axis=(1, 2), keepdims=True) - least)
        y = ops.clip(y * scale - least * scale, 0.0, 255.0)
        y = y if plain else y / 255.0 * (high - low) + low
        stretched = ops.where(ops.isnan(y), x, y)
        return ops.squeeze(stretched, 0) if given.ndim == 3 else stretched
