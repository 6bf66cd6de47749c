"""keras.ops.image: resizing, padding and cropping of images, and their grey."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim, max_dim, min_dim
from dagir.ir.graph import Value, apply, as_value
from dagir.ir.types import DType
from dagir.ops.arithmetic import multiply
from dagir.ops.conv import conv
from dagir.ops.counts import count_from
from dagir.ops.creation import eye, full
from dagir.ops.elementwise import cast
from dagir.ops.padding import pad
from dagir.ops.reduce import sum as sum_of
from dagir.ops.resize import Resize, window
from dagir.ops.shape import concatenate, expand_dims, reshape, squeeze, transpose

__all__ = ["crop_images", "extract_patches", "pad_images", "resize", "rgb_to_grayscale"]


def resize(
    images: Any,
    size: Sequence[Dim],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Value:
    """Images [n, h, w, c], or one [h, w, c], resized to `size` (height, width).  keras.ops.image.resize.

    Integers become float32 unless interpolation is nearest. To keep the aspect ratio the middle is cut out, or
    fill_value put at both sides. Raises ArgumentError, ShapeError.
    """
    if fill_mode != "constant":
        raise ArgumentError(f"resize takes fill_mode 'constant' only, got {fill_mode!r}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ArgumentError("resize takes one of crop_to_aspect_ratio and pad_to_aspect_ratio, not both")
    target = tuple(size) if isinstance(size, (list, tuple, np.ndarray)) else ()
    if len(target) != 2:
        raise ArgumentError(f"resize takes a size of (height, width), got {size!r}")
    high, wide = (count_from("resize", what, each) for what, each in zip(("height", "width"), target, strict=True))
    target = (high, wide)
    values = as_value(images)
    if interpolation != "nearest" and not values.dtype.is_float:
        values = cast(values, DType.FLOAT32)

    def resized(batch: Value) -> Value:
        axes = _spatial_axes(data_format)
        if crop_to_aspect_ratio:
            batch = cut_to_ratio(batch, target, axes)
        elif pad_to_aspect_ratio:
            batch = _padded_to_ratio(batch, target, axes, fill_value)
        op = Resize(target, interpolation, bool(antialias), data_format or "channels_last")
        return batch if tuple(batch.type.shape[axis] for axis in axes) == target else apply(op, batch)

    return _batched(values, resized)


def _batched(images: Value, function: Callable[[Value], Value]) -> Value:
    """The function on a batch, which for a single image has one element."""
    if images.ndim == 4:
        return function(images)
    if images.ndim != 3:
        raise ShapeError(f"images have rank 4, or 3 for a single one, got {images.ndim}")
    return squeeze(function(expand_dims(images, 0)), 0)


def _spatial_axes(data_format: str | None, rank: int = 4) -> tuple[int, int]:
    if data_format not in (None, "channels_last", "channels_first"):
        raise ArgumentError(f"data_format is 'channels_last' or 'channels_first', got {data_format!r}")
    return (rank - 2, rank - 1) if data_format == "channels_first" else (rank - 3, rank - 2)


def ratio_window(sizes: Sequence[Dim], target: Sequence[Dim]) -> tuple[Dim, Dim]:
    """The largest height and width within `sizes` in the ratio of the target, at least 1."""
    (height, width), (high, wide) = sizes, target
    cut = min_dim(height, (width * high) // wide), min_dim(width, (height * wide) // high)
    return max_dim(cut[0], 1), max_dim(cut[1], 1)


def cut_to_ratio(images: Value, target: Sequence[Dim], axes: tuple[int, int]) -> Value:
    """The middle of the images, in the ratio of the target."""
    sizes = [images.type.shape[axis] for axis in axes]
    kept = ratio_window(sizes, target)
    starts = [(size - part) // 2 for size, part in zip(sizes, kept, strict=True)]
    return images if list(kept) == sizes else window(images, axes, starts, kept)


def _padded_to_ratio(images: Value, target: Sequence[Dim], axes: tuple[int, int], fill: float) -> Value:
    """Both sides get the same: where an odd number is missing, the image stays one pixel short, as Keras has it."""
    (height, width), (high, wide) = [images.type.shape[axis] for axis in axes], target
    grown = max_dim(height, (width * high) // wide), max_dim(width, (height * wide) // high)
    for axis, size, whole in zip(axes, (height, width), grown, strict=True):
        side = (whole - size) // 2
        if isinstance(side, int):
            pads = [(side, side) if each == axis else (0, 0) for each in range(4)]
            images = pad(images, pads, constant_values=fill) if side else images
        else:
            shape = [side if each == axis else length for each, length in enumerate(images.type.shape)]
            edge = full(shape, fill, images.dtype)
            images = concatenate([edge, images, edge], axis)
    return images


def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Value:
    """Zeros around images [n, h, w, c] or [h, w, c]; of each axis two of three amounts.  keras.ops.image.pad_images."""
    value = as_value(images)
    axes = _spatial_axes(data_format, value.ndim)
    pads: list[tuple[Any, Any]] = [(0, 0)] * value.ndim
    given = (top_padding, bottom_padding, target_height), (left_padding, right_padding, target_width)
    for axis, amounts in zip(axes, given, strict=True):
        pads[axis] = _amounts("pad_images", amounts, value.type.shape[axis], 1)
    return pad(value, pads)


def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Value:
    """A part of images [n, h, w, c] or [h, w, c]; of each axis two of three amounts.  keras.ops.image.crop_images."""
    value = as_value(images)
    axes = _spatial_axes(data_format, value.ndim)
    starts, sizes = [], []
    given = (top_cropping, bottom_cropping, target_height), (left_cropping, right_cropping, target_width)
    for axis, amounts in zip(axes, given, strict=True):
        size = value.type.shape[axis]
        before, after = _amounts("crop_images", amounts, size, -1)
        starts.append(before)
        sizes.append(size - before - after)
    return window(value, axes, starts, sizes)


def _amounts(name: str, given: tuple[int | None, int | None, int | None], size: Dim, sign: int) -> tuple[Dim, Dim]:
    """Before and after, from two of before, after and the target. Raises ArgumentError."""
    before, after, target = given
    if [before, after, target].count(None) != 1:
        raise ArgumentError(f"{name} takes two of what is before, what is after and the target size, got {given}")
    found_before: Dim = before if before is not None else sign * (target - size) - after  # type: ignore[operator]
    found_after: Dim = after if after is not None else sign * (target - size) - found_before  # type: ignore[operator]
    if any(isinstance(amount, int) and amount < 0 for amount in (found_before, found_after)):
        raise ArgumentError(f"{name} takes amounts of at least 0, got {found_before} and {found_after} for size {size}")
    return found_before, found_after


def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Value:
    """0.2989 red + 0.5870 green + 0.1140 blue, in the dtype of the images.  keras.ops.image.rgb_to_grayscale."""
    value = as_value(images)
    axis = value.ndim - 1 if data_format != "channels_first" else value.ndim - 3
    _spatial_axes(data_format, value.ndim)
    if value.ndim not in (3, 4) or value.type.shape[axis] not in (1, 3):
        raise ShapeError(f"rgb_to_grayscale takes images with 3 channels, or 1, got {value.type}")
    if value.type.shape[axis] == 1:
        return value
    dtype = value.dtype if value.dtype.is_float else DType.FLOAT32
    weights = np.asarray([0.2989, 0.5870, 0.1140], dtype.numpy).reshape([-1] + [1] * (value.ndim - 1 - axis))
    grey = sum_of(multiply(cast(value, dtype), as_value(weights)), axis=axis, keepdims=True)
    return cast(grey, value.dtype)


def extract_patches(
    images: Any,
    size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Value:
    """Windows of images [n, h, w, c], or one [h, w, c], each as one vector.  keras.ops.image.extract_patches.

    Shapes: [n, h, w, c] -> [n, rows, columns, high * wide * c]. strides: the size of a window by default.
    """
    value = as_value(images)
    _spatial_axes(data_format, value.ndim)
    high, wide = _pair(size, "size")
    steps = (high, wide) if not strides else _pair(strides, "strides")
    first = data_format == "channels_first"
    apart = steps == (high, wide) and _pair(dilation_rate, "dilation_rate") == (1, 1) and padding == "valid"

    def cut(batch: Value) -> Value:
        if apart and not first:
            return _tiles(batch, high, wide)
        channels = batch.type.shape[1 if first else 3]
        if not isinstance(channels, int):
            raise ShapeError(
                "extract_patches takes images whose channels are a known size", marks={0: [1 if first else 3]}
            )
        count = high * wide * channels
        kernel = reshape(eye(count, dtype=batch.dtype), (high, wide, channels, count))
        return conv(batch, kernel, steps, padding, data_format, dilation_rate)

    return _batched(value, cut)


def _pair(given: int | Sequence[int], what: str) -> tuple[int, int]:
    pair = (given, given) if isinstance(given, int) else tuple(given)
    if len(pair) != 2:
        raise ArgumentError(f"extract_patches takes a {what} of (height, width), got {given!r}")
    return pair[0], pair[1]


def _tiles(images: Value, high: int, wide: int) -> Value:
    """Windows side by side: only moved, and what does not fill one is left out."""
    batch, height, width, channels = images.type.shape
    rows, columns = height // high, width // wide
    if (rows * high, columns * wide) != (height, width):
        images = window(images, (1, 2), (0, 0), (rows * high, columns * wide))
    apart = transpose(reshape(images, (batch, rows, high, columns, wide, channels)), (0, 1, 3, 2, 4, 5))
    return reshape(apart, (batch, rows, columns, high * wide * channels))
