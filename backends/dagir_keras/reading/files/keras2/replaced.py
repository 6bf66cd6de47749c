"""Layers that have the same name today, and computed something else, or more, in older versions of Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dagir import layers, ops
from dagir.ir.graph import Value
from dagir.ir.types import Array
from dagir.layers import Layer
from dagir.layers.resizing import saturating_cast
from dagir_keras.reading.files.keras2.writer import Writer
from dagir_keras.reading.problems import Refused

_KEY = "the layer of its version"
_MORE = ("area", "gaussian", "mitchellcubic")


class SeparableConv1D(layers.SeparableConv1D):
    """Separable convolution that sees no later step: zeros stand before the first."""

    def _checked_padding(self, padding: object) -> str:
        return "valid"

    def call(self, inputs: Value) -> Value:
        """x: f[n, t, c] -> f[n, e, filters]."""
        before = self.dilation_rate[0] * (self.kernel_size[0] - 1)
        last = self.data_format == "channels_last"
        widths = [(0, 0), (before, 0), (0, 0)] if last else [(0, 0), (0, 0), (before, 0)]
        return super().call(ops.pad(inputs, widths))


class UpSampling2D(layers.UpSampling2D):
    """Each axis grown by a whole factor, by an interpolation that today's Keras has not."""

    def __init__(self, *, interpolation: str, **kwargs: Any) -> None:
        super().__init__(interpolation="nearest", **kwargs)
        self.interpolation = interpolation

    def call(self, inputs: Value) -> Value:
        """x: f[n, h, w, c] -> f[n, h * size[0], w * size[1], c]."""
        return resized(inputs, self.size, None, self.interpolation, self.data_format)


class Resizing(layers.Resizing):
    """Images resized by an interpolation that today's Keras has not."""

    def __init__(self, *, interpolation: str, crop_to_aspect_ratio: bool = False, **kwargs: Any) -> None:
        super().__init__(interpolation="nearest", **kwargs)
        self.interpolation = interpolation
        if crop_to_aspect_ratio:
            raise Refused(f"it keeps the aspect ratio, with the interpolation {interpolation!r}, which no Keras 3 has")

    def call(self, data: Value, training: bool = True) -> Value:
        """x: number[n, h, w, c] -> [n, height, width, c]."""
        images = ops.cast(data, self.dtype)
        found = resized(images, None, (self.height, self.width), self.interpolation, self.data_format)
        return found if data.dtype.is_float else saturating_cast(ops.round(found), data.dtype)


class RandomCrop(layers.Resizing):
    """At inference: images cut to the aspect ratio of (height, width), and resized to it. Today they are left."""

    def __init__(self, height: int, width: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(height, width, crop_to_aspect_ratio=True, **kwargs)
        self.seed = seed


def resized(
    images: Value, factors: Sequence[int] | None, size: Sequence[int] | None, interpolation: str, data_format: str
) -> Value:
    """Images of a known height and width, resized by a matrix on each. Raises Refused where they are not known."""
    height = 1 if data_format == "channels_last" else 2
    sizes = images.type.shape[height : height + 2]
    if not all(isinstance(each, int) for each in sizes):
        raise Refused(
            f"the interpolation {interpolation!r} is read for images of a known height and width only",
            "give Input the height and the width",
        )
    known = [int(str(each)) for each in sizes]
    targets = size if factors is None else [each * factor for each, factor in zip(known, factors, strict=True)]
    assert targets is not None
    rows, columns = (
        matrix(each, target, interpolation).astype(images.dtype.numpy)
        for each, target in zip(known, targets, strict=True)
    )
    if height == 1:
        return ops.einsum("jw,niwc->nijc", columns, ops.einsum("ih,nhwc->niwc", rows, images))
    return ops.einsum("jw,nciw->ncij", columns, ops.einsum("ih,nchw->nciw", rows, images))


def matrix(size: int, target: int, interpolation: str) -> Array:
    """The weights [target, size] of TensorFlow's resize_area_op and scale_and_translate_op, without antialiasing."""
    step = size / target
    if interpolation == "area":
        begins = np.arange(target)[:, None] * step
        pixels = np.arange(size)
        shares = np.minimum(begins + step, pixels + 1) - np.maximum(begins, pixels)
        return np.asarray(np.maximum(shares, 0) / step)
    t = np.abs(((np.arange(target) + 0.5) * step - 0.5)[:, None] - np.arange(size))
    if interpolation == "gaussian":
        weights = np.where(t < 1.5, np.exp(-2 * t * t), 0)
    else:
        near, far = (7 * t / 6 - 2) * t * t + 8 / 9, ((2 - 7 * t / 18) * t - 10 / 3) * t + 16 / 9
        weights = np.where(t < 1, near, np.where(t < 2, far, 0))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def with_class(record: dict[str, Any], config: Mapping[str, Any], writer: Writer) -> dict[str, Any]:
    """The record, with the class of its version where today's of that name computes something else."""
    kind = record.get("class_name")
    found: type[Layer] | None = None
    if kind in ("UpSampling2D", "Resizing") and config.get("interpolation") in _MORE:
        found = UpSampling2D if kind == "UpSampling2D" else Resizing
    elif kind == "RandomCrop" and writer.before(3, 6):
        found = RandomCrop
    elif kind == "SeparableConv1D" and writer.is_keras_2 and config.get("padding") == "causal":
        found = SeparableConv1D
    return record if found is None else {**record, _KEY: found}


def class_of(record: Mapping[str, Any]) -> type[Layer] | None:
    """The class of a record that is marked: an object, so that no JSON file can contain it."""
    found = record.get(_KEY)
    return found if isinstance(found, type) else None
