"""Layers of images that older versions of Keras had, or had otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagir import layers, ops
from dagir.errors import ArgumentError, ShapeError
from dagir.ir.graph import Value
from dagir.ir.types import Array
from dagir.layers import Layer
from dagir.layers.resizing import ImageLayer


class UpSampling2DOnCorners(Layer):
    """Bilinear UpSampling2D on the grid of TensorFlow 1: pixel i of the output is at i / size of the input."""

    def __init__(self, size: Any = (2, 2), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        like = layers.UpSampling2D(size, data_format)
        self.size, self.data_format = like.size, like.data_format

    def call(self, inputs: Value) -> Value:
        """x: f[n, h, w, c] -> f[n, h * size[0], w * size[1], c]."""
        first = 1 if self.data_format == "channels_last" else 2
        for axis, factor in enumerate(self.size, first):
            inputs = _between_corners(inputs, axis, factor)
        return inputs


def _between_corners(x: Value, axis: int, factor: int) -> Value:
    """`factor` points from each pixel to the next; behind the last there is itself again."""
    shape = x.type.shape
    index = [slice(None)] * axis
    following = ops.concatenate([x[(*index, slice(1, None))], x[(*index, slice(-1, None))]], axis)
    weight = np.arange(factor).reshape(factor, *[1] * (len(shape) - axis - 1)) / factor
    here, there = ops.expand_dims(x, axis + 1), ops.expand_dims(following, axis + 1)
    y = here + (there - here) * weight.astype(x.dtype.numpy)
    return ops.reshape(y, (*shape[:axis], shape[axis] * factor, *shape[axis + 1 :]))


class UpSampling2DByArea(Layer):
    """UpSampling2D with interpolation "area": a pixel of the output is within one of the input."""

    def __init__(self, size: Any = (2, 2), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        like = layers.UpSampling2D(size, data_format)
        self.size, self.data_format = like.size, like.data_format

    def call(self, inputs: Value) -> Value:
        """x: f[n, h, w, c] -> f[n, h * size[0], w * size[1], c]."""
        return ops.upsample(inputs, self.size, "nearest", self.data_format)


class ResizingByArea(ImageLayer):
    """Resizing with interpolation "area": the mean of the pixels that each pixel of the output covers."""

    def __init__(
        self,
        height: int,
        width: int,
        data_format: str | None = None,
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,  # which it always does
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if crop_to_aspect_ratio or pad_to_aspect_ratio:
            raise ArgumentError("Resizing with interpolation 'area' neither crops nor pads to the aspect ratio")
        like = layers.Resizing(height, width, data_format=data_format)
        self.height, self.width, self.data_format = like.height, like.width, like.data_format

    def call(self, data: Value) -> Value:
        """x: number[n, h, w, c] -> f[n, height, width, c]."""
        y = ops.cast(data, self.dtype)
        for axis, target in zip(self.spatial_axes(data), (self.height, self.width), strict=True):
            size = data.type.shape[axis]
            if not isinstance(size, int):
                raise ShapeError(
                    f"Resizing layer {self.name!r} averages areas of images whose size is not known",
                    remedy="give the input a height and a width",
                )
            weights = _overlaps(size, target).astype(y.dtype.numpy)
            y = ops.moveaxis(ops.matmul(ops.moveaxis(y, axis, -1), weights.T), -1, axis)
        return y


def _overlaps(size: int, target: int) -> Array:
    """How much of each pixel [target, size] of the output is covered by each of the input."""
    edges = np.arange(target + 1) * (size / target)
    low, high = edges[:-1, None], edges[1:, None]
    pixels = np.arange(size)
    covered = np.minimum(high, pixels + 1) - np.maximum(low, pixels)
    return np.asarray(np.maximum(covered, 0) * (target / size))


class _RandomSize(ImageLayer):
    """Stretches images in training; at inference they stay as they are."""

    training_effect = "it would stretch images by random factors"

    def __init__(self, factor: Any, interpolation: str = "bilinear", seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor, self.interpolation, self.seed = factor, interpolation, seed

    def call(self, inputs: Value, training: bool | None = None) -> Value:
        """x: number[n, h, w, c] -> f[n, h, w, c]."""
        return ops.cast(inputs, self.dtype)


class RandomCropOrResizing(ImageLayer):
    """RandomCrop before Keras 3.6: at inference it cuts images to the aspect ratio and resizes them."""

    training_effect = "it would crop at random places"

    def __init__(
        self, height: int, width: int, seed: int | None = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        like = layers.Resizing(height, width, data_format=data_format)
        self.height, self.width, self.data_format = like.height, like.width, like.data_format

    def call(self, inputs: Value, training: bool | None = None) -> Value:
        """x: number[n, h, w, c] -> f[n, height, width, c]."""
        self.spatial_axes(inputs)
        images = ops.cast(inputs, self.dtype)
        size = (self.height, self.width)
        return ops.image.resize(images, size, crop_to_aspect_ratio=True, data_format=self.data_format)


class RandomHeight(_RandomSize):
    """keras.layers.RandomHeight of Keras 2."""


class RandomWidth(_RandomSize):
    """keras.layers.RandomWidth of Keras 2."""
