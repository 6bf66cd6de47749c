"""Images: turning, flipping, brightness, colors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import DType
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.dtypes import dtype_of
from dagir_keras.reading.tensorflow.norm import standardized
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import Tensor, cast, integer, like, tensor, value

_TO_YUV = [[0.299, -0.14714119, 0.61497538], [0.587, -0.28886916, -0.51496512], [0.114, 0.43601035, -0.10001026]]
_TO_RGB_FROM_YUV = [[1, 1, 1], [0, -0.394642334, 2.03206185], [1.13988303, -0.58062185, 0]]
_TO_YIQ = [[0.299, 0.59590059, 0.2115], [0.587, -0.27455667, -0.52273617], [0.114, -0.32134392, 0.31119955]]
_TO_RGB_FROM_YIQ = [[1, 1, 1], [0.95598634, -0.27201283, -1.10674021], [0.6208248, -0.64720424, 1.70423049]]


def _images(data: Any, floats: bool = True) -> Value:
    given = value(tensor(data))
    if floats and not given.dtype.is_float:
        raise Refused(f"it takes images of floats, got {given.dtype}: TensorFlow rounds those of integers")
    return given


@function("image.flip_left_right")
def _flip_left_right(image: Any) -> Tensor:
    return ops.flip(_images(image, False), -2)


@function("image.flip_up_down")
def _flip_up_down(image: Any) -> Tensor:
    return ops.flip(_images(image, False), -3)


@function("image.transpose", "compat.v1.image.transpose")
def _transpose(image: Any) -> Tensor:
    return ops.swapaxes(_images(image, False), -3, -2)


@function("image.rot90")
def _rot90(image: Any, k: Any = 1) -> Tensor:
    given = _images(image, False)
    return ops.rot90(given, integer(k, "k") % 4, (given.ndim - 3, given.ndim - 2))


@function("image.grayscale_to_rgb")
def _grayscale_to_rgb(images: Any) -> Tensor:
    given = _images(images, False)
    return ops.tile(given, (*(1,) * (given.ndim - 1), 3))


@function("image.rgb_to_grayscale")
def _rgb_to_grayscale(images: Any) -> Tensor:
    given = _images(images)
    return ops.expand_dims(ops.tensordot(given, like([0.2989, 0.587, 0.114], given), ((given.ndim - 1,), (0,))), -1)


def _by_matrix(matrix: Any) -> Callable[[Any], Tensor]:
    def rule(images: Any) -> Tensor:
        given = _images(images)
        return ops.matmul(given, like(np.asarray(matrix, given.dtype.numpy), given))

    return rule


function("image.rgb_to_yuv")(_by_matrix(_TO_YUV))
function("image.yuv_to_rgb")(_by_matrix(_TO_RGB_FROM_YUV))
function("image.rgb_to_yiq")(_by_matrix(_TO_YIQ))
function("image.yiq_to_rgb")(_by_matrix(_TO_RGB_FROM_YIQ))


@function("image.adjust_brightness")
def _adjust_brightness(image: Any, delta: Any) -> Tensor:
    given = _images(image)
    return ops.add(given, like(delta, given))


@raw("AdjustContrastv2")
@function("image.adjust_contrast")
def _adjust_contrast(images: Any, contrast_factor: Any) -> Tensor:
    given = _images(images)
    center = ops.mean(given, (given.ndim - 3, given.ndim - 2), keepdims=True)
    return ops.add(ops.multiply(ops.subtract(given, center), like(contrast_factor, given)), center)


@function("image.adjust_gamma")
def _adjust_gamma(image: Any, gamma: Any = 1, gain: Any = 1) -> Tensor:
    given = _images(image)
    return ops.multiply(ops.power(given, like(gamma, given)), like(gain, given))


@function("image.per_image_standardization")
def _per_image_standardization(image: Any) -> Tensor:
    return standardized(value(cast(_images(image, False), DType.FLOAT32)))


@function("image.convert_image_dtype")
def _convert_image_dtype(image: Any, dtype: Any, saturate: Any = False) -> Tensor:
    """Integers become floats between 0 and 1."""
    given, target = _images(image, False), dtype_of(dtype)
    if given.dtype is target or (given.dtype.is_float and target.is_float):
        return cast(given, target)
    if given.dtype.is_integer and target.is_float:
        return ops.multiply(ops.cast(given, target), float(1.0 / np.iinfo(given.dtype.numpy).max))
    raise Refused(f"it converts images of {given.dtype} to {target}")


@function("image.image_gradients")
def _gradients(image: Any) -> tuple[Tensor, Tensor]:
    """Differences to the next row and the next column; 0 in the last."""
    given = _images(image)
    down = ops.subtract(given[:, 1:], given[:, :-1])
    right = ops.subtract(given[:, :, 1:], given[:, :, :-1])
    return ops.pad(down, ((0, 0), (0, 1), (0, 0), (0, 0))), ops.pad(right, ((0, 0), (0, 0), (0, 1), (0, 0)))


@function("image.total_variation")
def _total_variation(images: Any) -> Tensor:
    given = _images(images)
    first = given.ndim - 3
    lead = (slice(None),) * first
    down = ops.subtract(given[(*lead, slice(1, None))], given[(*lead, slice(None, -1))])
    right = ops.subtract(given[(*lead, slice(None), slice(1, None))], given[(*lead, slice(None), slice(None, -1))])
    axes = tuple(range(first, given.ndim))
    return ops.add(ops.sum(ops.absolute(down), axes), ops.sum(ops.absolute(right), axes))


@function("image.psnr")
def _psnr(a: Any, b: Any, max_val: Any) -> Tensor:
    left, right = _images(a), _images(b)
    error = ops.mean(ops.square(ops.subtract(left, right)), (left.ndim - 3, left.ndim - 2, left.ndim - 1))
    top = float(20 * np.log(float(max_val)) / np.log(10.0))
    return ops.subtract(like(top, left), ops.multiply(ops.log(error), float(np.float32(10 / np.log(10)))))


@function("image.sobel_edges")
def _sobel_edges(image: Any) -> Tensor:
    """[n, h, w, c] -> [n, h, w, c, 2]: how the image changes down and to the right."""
    given = _images(image)
    grown = ops.pad(given, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
    down = np.asarray([[-1, -2, -1], [0, 0, 0], [1, 2, 1]], given.dtype.numpy)
    channels = given.shape[-1]
    if channels is None:
        raise Refused("it takes edges of an unknown number of channels")
    kernels = np.tile(np.stack([down, down.T], -1)[:, :, None], (1, 1, channels, 1))
    found = ops.depthwise_conv(grown, kernels)
    return ops.reshape(found, (*given.type.shape, 2))
