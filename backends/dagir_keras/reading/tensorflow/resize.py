"""Resizing images, on every grid that TensorFlow has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.graph import Value, apply
from dagir.ir.types import Array, DType
from dagir.ops.creation import spend_elements
from dagir.ops.sizes import measured
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.shape import layout, pad
from dagir_keras.reading.tensorflow.slicing import crop_to_box
from dagir_keras.reading.tensorflow.tensors import Tensor, cast, constant_of, dims, integer, ints, tensor, value

_METHODS = ("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic")
_OF_1 = {0: "bilinear", 1: "nearest", 2: "bicubic", 3: "area"}


def _at_least_one(target: Sequence[Dim]) -> None:
    if any(isinstance(size, int) and size < 1 for size in target):
        raise Refused(f"it resizes to {list(target)}")


def _places(size: int, target: int, align_corners: bool) -> Array:
    """Where each pixel of the result lies in the image, on the grids of TensorFlow 1, as its kernels compute it."""
    if align_corners and target > 1:
        step = np.float32(size - 1) / np.float32(target - 1)
    else:
        step = np.float32(size) / np.float32(target)
    return np.asarray(np.arange(target, dtype=np.float32) * step)


def _matrix(size: int, target: int, align_corners: bool) -> Array:
    """The weights [target, size] of bilinear interpolation on those grids."""
    places = _places(size, target, align_corners)
    low = np.minimum(np.floor(places).astype(np.int64), size - 1)
    high = np.minimum(low + 1, size - 1)
    part = (places - np.floor(places)).astype(np.float64)
    weights = np.zeros((target, size))
    np.add.at(weights, (np.arange(target), low), 1 - part)
    np.add.at(weights, (np.arange(target), high), part)
    return weights


def _known(given: Value, target: Sequence[Dim]) -> tuple[tuple[int, int], tuple[int, int]]:
    sizes = (*given.type.shape[1:3], *target)
    numbers = [size for size in sizes if isinstance(size, int)]
    if len(numbers) < 4:
        raise Refused(f"it resizes {list(sizes[:2])} to {list(target)} on a grid that needs known sizes")
    height, width, high, wide = numbers
    spend_elements("resizing on this grid", height + width, high + wide)
    return (height, width), (high, wide)


def _bilinear_of_1(given: Value, target: Sequence[Dim], align_corners: bool) -> Value:
    if not all(isinstance(size, int) for size in (*given.type.shape[1:3], *target)):
        down = _between(given, 1, target[0], align_corners)
        return _between(down, 2, target[1], align_corners)
    sizes, wanted = _known(given, target)
    for axis in (0, 1):
        weights = _matrix(sizes[axis], wanted[axis], align_corners).astype(given.dtype.numpy)
        given = ops.einsum("oh,nhwc->nowc" if axis == 0 else "ow,nhwc->nhoc", weights, given)
    return given


def _run_time_places(size: Value, target: Dim, align_corners: bool) -> Value:
    """`_places` for sizes that may be known at run time only."""
    return ops.multiply(ops.cast(ops.arange(target), "float32"), _run_time_step(size, target, align_corners))


def _run_time_step(size: Value, target: Dim, align_corners: bool) -> Value:
    count = measured(target)
    step = ops.divide(ops.cast(size, "float32"), ops.cast(count, "float32"))
    if not align_corners:
        return step
    between = ops.cast(ops.maximum(ops.subtract(count, 1), 1), "float32")
    aligned = ops.divide(ops.cast(ops.subtract(size, 1), "float32"), between)
    return ops.where(ops.greater(count, 1), aligned, step)


def _between(given: Value, axis: int, target: Dim, align_corners: bool) -> Value:
    """One axis of the bilinear grid, whose sizes may be known at run time only."""
    size = measured(given.type.shape[axis])
    last = ops.subtract(size, 1)
    places = _run_time_places(size, target, align_corners)
    low = ops.minimum(ops.cast(ops.floor(places), "int32"), last)
    high = ops.minimum(ops.add(low, 1), last)
    share = ops.reshape(ops.subtract(places, ops.floor(places)), (-1, *[1] * (given.ndim - axis - 1)))
    before, after = ops.take(given, low, axis), ops.take(given, high, axis)
    return ops.add(before, ops.multiply(ops.subtract(after, before), share))


def _nearest_of_1(given: Value, target: Sequence[Dim], align_corners: bool) -> Value:
    if not all(isinstance(size, int) for size in (*given.type.shape[1:3], *target)):
        down = _nearest_along(given, 1, target[0], align_corners)
        return _nearest_along(down, 2, target[1], align_corners)
    sizes, wanted = _known(given, target)
    for axis in (0, 1):
        places = _places(sizes[axis], wanted[axis], align_corners)
        whole = np.floor(places + np.float32(0.5)) if align_corners else np.floor(places)
        index = np.minimum(whole.astype(np.int32), sizes[axis] - 1)
        given = ops.take(given, index, axis + 1)
    return given


def _nearest_along(given: Value, axis: int, target: Dim, align_corners: bool) -> Value:
    """One axis of the nearest pixels, whose sizes may be known at run time only."""
    size = measured(given.type.shape[axis])
    places = _run_time_places(size, target, align_corners)
    whole = ops.floor(ops.add(places, 0.5) if align_corners else places)
    return ops.take(given, ops.minimum(ops.cast(whole, "int32"), ops.subtract(size, 1)), axis)


def _area(given: Value, target: Sequence[Dim], align_corners: bool) -> Value:
    """The mean of the part of the image that each pixel covers, pixels at its edge in part.

    The last pixel of the image goes on without end.
    """
    if not all(isinstance(size, int) for size in (*given.type.shape[1:3], *target)):
        rows, columns = (_run_time_shares(given, axis + 1, target[axis], align_corners) for axis in (0, 1))
        return ops.einsum("ow,nhwc->nhoc", columns, ops.einsum("oh,nhwc->nowc", rows, given))
    sizes, wanted = _known(given, target)
    for axis in (0, 1):
        size, count = sizes[axis], wanted[axis]
        step = (size - 1) / (count - 1) if align_corners and count > 1 else size / count
        starts, pixels = np.arange(count)[:, None] * step, np.arange(size)
        ends = np.where(pixels == size - 1, np.inf, pixels + 1)
        covered = np.minimum(starts + step, ends) - np.maximum(starts, pixels)
        with np.errstate(invalid="ignore"):  # a step of 0 gives NaN in TensorFlow too
            weights = (np.maximum(covered, 0) / np.float64(step)).astype(given.dtype.numpy)
        given = ops.einsum("oh,nhwc->nowc" if axis == 0 else "ow,nhwc->nhoc", weights, given)
    return given


def _run_time_shares(given: Value, axis: int, target: Dim, align_corners: bool) -> Value:
    """The matrix [target, size] of `_area` for sizes that may be known at run time only."""
    size = measured(given.type.shape[axis])
    step = _run_time_step(size, target, align_corners)
    starts = ops.expand_dims(ops.multiply(ops.cast(ops.arange(target), "float32"), step), 1)
    pixels = ops.arange(given.type.shape[axis])
    last = ops.equal(pixels, ops.subtract(size, 1))
    pixels = ops.cast(pixels, "float32")
    ends = ops.minimum(ops.add(starts, step), ops.where(last, np.float32(np.inf), ops.add(pixels, 1.0)))
    covered = ops.maximum(ops.subtract(ends, ops.maximum(starts, pixels)), 0.0)
    return ops.cast(ops.divide(covered, step), given.dtype)


def resized(
    given: Value, target: Sequence[Dim], method: str, half_pixel: bool, align: bool, antialias: bool = False
) -> Value:
    """A batch of images [n, h, w, c]; but for nearest in float32."""
    _at_least_one(target)
    if method != "nearest":
        given = value(cast(given, DType.FLOAT32))
    if method == "area":
        return _area(given, target, align)
    if half_pixel and not align:
        if method in ("gaussian", "mitchellcubic"):
            raise Refused(f"it resizes by {method}")
        if given.type.shape[1:3] == tuple(target):
            return given
        return apply(ops.Resize(tuple(target), method, antialias), given)
    if method == "bilinear":
        return _bilinear_of_1(given, target, align)
    if method == "nearest":
        return _nearest_of_1(given, target, align)
    raise Refused(f"it resizes by {method} on the grid of TensorFlow 1, not at the centers of pixels")


def _raw(method: str) -> Any:
    def rule(images: Any, size: Any, align_corners: Any = False, half_pixel_centers: Any = False) -> Tensor:
        given, target = value(tensor(images)), dims(size, "size")
        return resized(given, target, method, bool(half_pixel_centers), bool(align_corners))

    return rule


for _op, _name, _method in (
    ("ResizeBilinear", "resize_bilinear", "bilinear"),
    ("ResizeNearestNeighbor", "resize_nearest_neighbor", "nearest"),
    ("ResizeBicubic", "resize_bicubic", "bicubic"),
    ("ResizeArea", "resize_area", "area"),
):
    raw(_op)(function(f"compat.v1.image.{_name}")(_raw(_method)))


@raw("ScaleAndTranslate")
def scale_and_translate(
    images: Tensor,
    size: Tensor,
    scale: Tensor,
    translation: Tensor,
    kernel_type: Any = "lanczos3",
    antialias: bool = True,
) -> Tensor:
    """Resizing by a kernel, if nothing is moved and the scale is that of the sizes."""
    given, target = value(images), dims(size, "size")
    factors, moved = constant_of(scale), constant_of(translation)
    known, wanted = _known(given, target)
    ratios = np.asarray(wanted, np.float32) / np.asarray(known, np.float32)
    if factors is None or moved is None or moved.any() or not np.array_equal(factors, ratios):
        raise Refused("it moves the image, or scales it to more or less than its size")
    how = {"triangle": "bilinear", "keyscubic": "bicubic"}.get(str(kernel_type), str(kernel_type))
    if how not in ("bilinear", "bicubic", "lanczos3", "lanczos5"):
        raise Refused(f"it resizes by {how}")
    return apply(ops.Resize(tuple(target), how, bool(antialias)), value(cast(given, DType.FLOAT32)))


def _in_batch(images: Any) -> tuple[Value, bool]:
    given = value(tensor(images))
    if given.ndim not in (3, 4):
        raise Refused(f"it takes images of rank 3 or 4, got {given.ndim}")
    return (ops.expand_dims(given, 0), True) if given.ndim == 3 else (given, False)


def _keeping_ratio(given: Value, target: Sequence[Dim]) -> tuple[int, int]:
    (height, width), (high, wide) = _known(given, target)
    scale = min(np.float32(high) / np.float32(height), np.float32(wide) / np.float32(width))
    return int(np.round(scale * np.float32(height))), int(np.round(scale * np.float32(width)))


@function("image.resize", "compat.v1.image.resize_images_v2")
def resize(
    images: Any, size: Any, method: Any = "bilinear", preserve_aspect_ratio: Any = False, antialias: Any = False
) -> Tensor:
    """Images resized at the centers of pixels."""
    given, alone = _in_batch(images)
    target: Sequence[Dim] = dims(size, "size")
    how = _OF_1.get(method, method) if type(method) is int else str(method).rpartition(".")[2].lower()
    if how not in _METHODS or len(target) != 2:
        raise Refused(f"it resizes to {list(target)} by {str(method)[:30]!r}")
    if preserve_aspect_ratio:
        target = _keeping_ratio(given, target)
    found = resized(given, target, how, True, False, bool(antialias))
    return ops.squeeze(found, 0) if alone else found


@function("compat.v1.image.resize", "compat.v1.image.resize_images")
def resize_of_1(
    images: Any, size: Any, method: Any = 0, align_corners: Any = False, preserve_aspect_ratio: Any = False
) -> Tensor:
    """Images resized on the grid of TensorFlow 1, whose pixels are points."""
    given, alone = _in_batch(images)
    target: Sequence[Dim] = dims(size, "size")
    how = _OF_1.get(method, method) if type(method) is int else str(method)
    if preserve_aspect_ratio:
        target = _keeping_ratio(given, target)
    same = given.type.shape[1:3] == tuple(target)
    found = given if same else resized(given, target, str(how), False, bool(align_corners))
    return ops.squeeze(found, 0) if alone else found


def _four(given: Value, target: Sequence[int], offset: Sequence[int]) -> Value:
    """Zeros around the images, up to this height and width."""
    height, width = given.shape[1:3]
    assert height is not None
    assert width is not None
    rest = [(low, whole - size - low) for low, whole, size in zip(offset, target, (height, width), strict=True)]
    return value(pad(given, [[0, 0], *map(list, rest), [0, 0]]))


@function("image.pad_to_bounding_box", "compat.v1.image.pad_to_bounding_box")
def _pad_to_box(image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any) -> Tensor:
    given, alone = _in_batch(image)
    target = integer(target_height, "target_height"), integer(target_width, "target_width")
    _known(given, target)
    made = _four(given, target, (integer(offset_height, "offset"), integer(offset_width, "offset")))
    return ops.squeeze(made, 0) if alone else made


@function("image.resize_with_crop_or_pad", "compat.v1.image.resize_image_with_crop_or_pad")
def _crop_or_pad(image: Any, target_height: Any, target_width: Any) -> Tensor:
    """The middle cut out, or zeros around."""
    given, alone = _in_batch(image)
    target = integer(target_height, "target_height"), integer(target_width, "target_width")
    sizes, _ = _known(given, target)
    starts = [max((size - wanted) // 2, 0) for size, wanted in zip(sizes, target, strict=True)]
    least = [min(size, wanted) for size, wanted in zip(sizes, target, strict=True)]
    cut = value(crop_to_box(given, *starts, *least))
    made = _four(cut, target, [max((wanted - size) // 2, 0) for size, wanted in zip(sizes, target, strict=True)])
    return ops.squeeze(made, 0) if alone else made


@function("image.resize_with_pad")
def _with_pad(
    image: Any, target_height: Any, target_width: Any, method: Any = "bilinear", antialias: Any = False
) -> Tensor:
    """Resized within the ratio, zeros around."""
    given, alone = _in_batch(image)
    target = ints([target_height, target_width], "size")
    (height, width), (high, wide) = _known(given, target)
    ratio = max(np.float32(width) / np.float32(wide), np.float32(height) / np.float32(high))
    exact = np.float32(height) / ratio, np.float32(width) / ratio
    inner = int(np.floor(exact[0])), int(np.floor(exact[1]))
    starts = [max(int(np.floor((whole - part) / 2)), 0) for whole, part in zip(target, exact, strict=True)]
    small = value(resize(given, list(inner), method, False, antialias))
    made = _four(small, target, starts)
    return ops.squeeze(made, 0) if alone else made


@function("keras.backend.resize_images")
def _resize_of_keras(
    x: Any, height_factor: Any, width_factor: Any, data_format: Any, interpolation: str = "nearest"
) -> Tensor:
    given = value(tensor(x))
    factors = integer(height_factor, "height_factor"), integer(width_factor, "width_factor")
    return ops.upsample(given, factors, interpolation, layout(data_format))
