"""Sliding blocks of images [n, c, h, w], as columns of a matrix, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.graph import Operand, Value
from dagir.ir.operands import as_value
from dagir.ir.types import Array
from dagir.ops.padding import pad
from dagir.ops.reduce import sum as total
from dagir.ops.shape import reshape, take
from dagir.ops.stacking import stack

__all__ = ["fold", "unfold"]

Sizes = int | Sequence[int]


def unfold(x: Operand, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> Value:
    """Windows of images as columns: t[n, c, h, w] -> t[n, c * kh * kw, windows], known as im2col.

    kernel_size: kh and kw. dilation: the distance of its points. padding: rows and columns of zeros around the images.
    stride: of the windows. Each is one int, or one for each axis.

    >>> show(ops.unfold(np.arange(9, dtype="float32").reshape(1, 1, 3, 3), 2, stride=1)[0, 0])
    [0.0, 1.0, 3.0, 4.0]
    """
    value = as_value(x)
    if value.ndim != 4:
        raise ShapeError(f"unfold takes images [n, c, h, w], got {value.type}")
    kernel, apart, widths, steps = _options(kernel_size, dilation, padding, stride)
    if any(widths):
        value = pad(value, ((0, 0), (0, 0), (widths[0], widths[0]), (widths[1], widths[1])))
    batch, channels, *sizes = value.type.shape
    counts = [(size - d * (k - 1) - 1) // s + 1 for size, k, d, s in zip(sizes, kernel, apart, steps, strict=True)]
    parts = []
    for i, j in np.ndindex(*kernel):
        places = [
            slice(k * d, k * d + (count - 1) * s + 1, s)
            for k, d, s, count in zip((i, j), apart, steps, counts, strict=True)
        ]
        parts.append(value[(slice(None), slice(None), *places)])
    windows = stack(parts, axis=2)
    return reshape(windows, (batch, channels * kernel[0] * kernel[1], counts[0] * counts[1]))


def fold(
    x: Operand,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Value:
    """The sum of windows at their places: t[n, c * kh * kw, windows] -> t[n, c, h, w], known as col2im.

    output_size: h and w. kernel_size, dilation, padding, stride: those of `unfold`, whose windows these are.

    >>> show(ops.fold([[[1.0, 2.0], [3.0, 4.0]]], (1, 3), (1, 2))[0, 0])
    [[1.0, 5.0, 4.0]]
    """
    value = as_value(x)
    if value.ndim != 3:
        raise ShapeError(f"fold takes windows [n, c * kh * kw, windows], got {value.type}")
    kernel, apart, widths, steps = _options(kernel_size, dilation, padding, stride)
    size = _pair("output_size", output_size, 1)
    points = kernel[0] * kernel[1]
    batch, rows, columns = value.type.shape
    table, count = _sources(size, kernel, apart, widths, steps)
    if columns != count or (isinstance(rows, int) and rows % points):
        raise ShapeError(
            f"windows of {points} points that make images of {size[0]} x {size[1]} are [n, c * {points}, {count}], "
            f"got {value.type}",
            marks={0: [1, 2]},
        )
    channels = rows // points
    flat = pad(reshape(value, (batch, channels, points * count)), ((0, 0), (0, 0), (0, 1)))
    return reshape(total(take(flat, table, axis=2), axis=2), (batch, channels, *size))


def _sources(size: Sequence[int], *options: Sequence[int]) -> tuple[Array, int]:
    """int[points of a window, h * w]: which window's element comes to a pixel, the one behind the last for none; and
    the number of windows."""
    axes = list(zip(size, *options, strict=True))
    counts = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, d, p, s in axes]
    if min(counts) < 1:
        raise ShapeError(f"no window fits in images of {size[0]} x {size[1]}")
    found = []
    for (n, k, d, p, s), count in zip(axes, counts, strict=True):
        distance = np.arange(n)[None] + p - d * np.arange(k)[:, None]
        window = np.where(distance % s == 0, distance // s, -1)
        found.append(np.where((window >= 0) & (window < count), window, -1))
    rows, columns = found[0][:, None, :, None], found[1][None, :, None, :]
    number = counts[0] * counts[1]
    points = np.arange(rows.shape[0] * columns.shape[1]).reshape(rows.shape[0], columns.shape[1], 1, 1)
    place = points * number + rows * counts[1] + columns
    table = np.where((rows >= 0) & (columns >= 0), place, points.size * number)
    return table.reshape(points.size, -1).astype(np.int32), number


def _options(kernel: Sizes, dilation: Sizes, padding: Sizes, stride: Sizes) -> tuple[Sequence[int], ...]:
    return (
        _pair("kernel_size", kernel, 1),
        _pair("dilation", dilation, 1),
        _pair("padding", padding, 0),
        _pair("stride", stride, 1),
    )


def _pair(name: str, given: Sizes, least: int) -> tuple[int, int]:
    pair = (given, given) if isinstance(given, int) else tuple(given)
    if len(pair) != 2 or not all(isinstance(size, int) and size >= least for size in pair):
        raise ArgumentError(f"{name} is one or two whole numbers, at least {least}, got {given!r}")
    return pair[0], pair[1]
