"""Hue, saturation and value of colors."""

from __future__ import annotations

from typing import Any

from dagir import ops
from dagir.ir.graph import Value
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import Tensor, like, tensor, value


def _parts(images: Any) -> tuple[Value, Value, Value]:
    given = value(tensor(images))
    if not given.dtype.is_float:
        raise Refused(f"it takes images of floats, got {given.dtype}: TensorFlow rounds those of integers")
    first, second, third = (given[(..., slice(place, place + 1))] for place in range(3))
    return first, second, third


@raw("RGBToHSV")
@function("image.rgb_to_hsv")
def rgb_to_hsv(images: Any) -> Tensor:
    """The largest of the colors is the value, their spread over it the saturation, and the hue the place between."""
    red, green, blue = _parts(images)
    top = ops.maximum(ops.maximum(red, green), blue)
    spread = ops.subtract(top, ops.minimum(ops.minimum(red, green), blue))
    zero = like(0.0, top)
    saturation = ops.where(ops.greater(top, zero), ops.divide_no_nan(spread, top), zero)
    scale = ops.divide_no_nan(like(1.0, spread), ops.multiply(spread, 6.0))
    of_blue = ops.add(ops.multiply(scale, ops.subtract(red, green)), 4.0 / 6.0)
    of_green = ops.add(ops.multiply(scale, ops.subtract(blue, red)), 2.0 / 6.0)
    of_red = ops.multiply(scale, ops.subtract(green, blue))
    hue = ops.where(ops.equal(red, top), of_red, ops.where(ops.equal(green, top), of_green, of_blue))
    hue = ops.where(ops.greater(spread, zero), hue, zero)
    hue = ops.where(ops.less(hue, zero), ops.add(hue, 1.0), hue)
    return ops.concatenate([hue, saturation, top], -1)


@raw("HSVToRGB")
@function("image.hsv_to_rgb")
def hsv_to_rgb(images: Any) -> Tensor:
    """The colors of a hue, a saturation and a value."""
    hue, saturation, top = _parts(images)
    place = ops.multiply(hue, 6.0)
    red = ops.subtract(ops.absolute(ops.subtract(place, 3.0)), 1.0)
    green = ops.subtract(2.0, ops.absolute(ops.subtract(place, 2.0)))
    blue = ops.subtract(2.0, ops.absolute(ops.subtract(place, 4.0)))
    pure = ops.clip(ops.concatenate([red, green, blue], -1), 0.0, 1.0)
    return ops.multiply(ops.add(ops.subtract(1.0, saturation), ops.multiply(saturation, pure)), top)


@raw("AdjustSaturation")
@function("image.adjust_saturation")
def adjust_saturation(image: Any, saturation_factor: Any) -> Tensor:
    """The saturation times a factor, between 0 and 1."""
    hue, saturation, top = _parts(rgb_to_hsv(image))
    changed = ops.clip(ops.multiply(saturation, like(saturation_factor, saturation)), 0.0, 1.0)
    return hsv_to_rgb(ops.concatenate([hue, changed, top], -1))


@raw("AdjustHue")
@function("image.adjust_hue")
def adjust_hue(image: Any, delta: Any) -> Tensor:
    """The hue turned by a part of the circle."""
    hue, saturation, top = _parts(rgb_to_hsv(image))
    turned = ops.mod(ops.add(hue, like(delta, hue)), 1.0)
    return hsv_to_rgb(ops.concatenate([turned, saturation, top], -1))
