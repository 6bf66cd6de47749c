"""The matrices of interpolation: for every kernel, resizing an axis is a product with a matrix.

They are those of TensorFlow, which Keras uses: tensorflow/core/kernels/image, resize_bicubic_op and
scale_and_translate_op.
"""

from __future__ import annotations

import numpy as np

from dagir.ir.types import Array

RADII = {"bilinear": 1, "bicubic": 2, "lanczos3": 3, "lanczos5": 5}
"""How far each kernel reaches, in pixels of the input."""

CUBIC_STEPS = 1024
"""Without antialiasing TensorFlow reads cubic weights from a table: places are rounded to this part of a pixel."""


def matrix(size: int, target: int, interpolation: str, antialias: bool = False) -> Array:
    """The weights [target, size] that resize an axis from `size` to `target`; every row sums to 1.

    Pixel centres are at 1/2; points outside the image have no weight; antialias widens the kernel if the axis
    shrinks. interpolation: nearest, or one of RADII.
    """
    if interpolation == "nearest":
        return np.asarray(np.eye(size)[nearest(size, target)])
    places = (np.arange(target) + 0.5) * (size / target) - 0.5
    if interpolation == "bicubic" and not antialias:
        places = _in_steps(size, target)
    stretch = max(size / target, 1.0) if antialias else 1.0
    weights = kernel(np.abs(places[:, None] - np.arange(size)) / stretch, interpolation)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def nearest(size: int, target: int) -> Array:
    """The source pixel of each of the `target` pixels, computed in float32 as in TensorFlow."""
    step = np.float32(size) / np.float32(target)
    places = np.floor((np.arange(target, dtype=np.float32) + np.float32(0.5)) * step)
    return np.asarray(np.minimum(places.astype(np.int64), size - 1))


def _in_steps(size: int, target: int) -> Array:
    step = np.float32(size) / np.float32(target)
    places = (np.arange(target, dtype=np.float32) + np.float32(0.5)) * step - np.float32(0.5)
    whole = np.floor(places)
    return np.asarray(whole + np.rint((places - whole) * CUBIC_STEPS) / CUBIC_STEPS, np.float64)


def kernel(distance: Array, interpolation: str) -> Array:
    """The weight of a pixel at a distance of at least 0: Keys's cubic with a = -1/2, or a windowed sinc."""
    t = distance
    if interpolation == "bilinear":
        return np.asarray(np.maximum(1 - t, 0))
    if interpolation == "bicubic":
        near, far = (1.5 * t - 2.5) * t * t + 1, ((-0.5 * t + 2.5) * t - 4) * t + 2
        return np.where(t <= 1, near, np.where(t < 2, far, 0))
    radius = RADII[interpolation]
    x = np.pi * np.maximum(t, 1e-3)
    return np.where(t <= 1e-3, 1, np.where(t > radius, 0, radius * np.sin(x) * np.sin(x / radius) / (x * x)))
