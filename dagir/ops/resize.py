"""Resizing: UpSample by whole factors, Resize to any size, Window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.graph import Op, Operand, Types, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import EXACT, Disturbed, Rounding
from dagir.ir.types import Array, DType, Shape, TensorType
from dagir.ops.interpolation import RADII
from dagir.ops.operands import require

__all__ = [
    "Resize",
    "UpSample",
    "Window",
    "upsample",
    "window",
]


def _displaced(op: Op, sample: Disturbed) -> Array:
    """As if between other points: a kernel reckons positions on an axis in the target dtype, and they round too."""
    x, y = sample.operands[0], sample.result
    assert x is not None
    for axis, (size, target) in enumerate(zip(x.shape, y.shape, strict=True)):
        if size != target and y.size:
            last = np.take(x, [-1], axis)
            (slopes,) = sample.apply([np.abs(np.diff(x, axis=axis, append=last))], DType.FLOAT64)
            place = np.linspace(0, size, target).reshape([-1 if a == axis else 1 for a in range(x.ndim)])
            noise = sample.eps * place * sample.rng.standard_normal(y.shape)
            y = np.asarray(y + noise * slopes)
    return y


INTERPOLATED = Rounding(compound=True, errors=(_displaced,))


@dataclass(frozen=True)
class UpSample(Op):
    """x: t[n, *d, c] -> t[n, *(d * factors), c]; channels_first: t[n, c, *d] -> t[n, c, *(d * factors)].

    nearest repeats each element; bilinear, of floats over two axes, interpolates between the elements' centres and
    holds the edge.  keras.layers.UpSampling2D; ONNX Resize-18: asymmetric and floor, or linear and half_pixel.
    """

    rounding = INTERPOLATED
    bound_to_layout = True
    factors: tuple[int, ...]
    interpolation: str = "nearest"
    data_format: str = "channels_last"

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """The axes of x that grow."""
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + len(self.factors)))

    def how_it_rounds(self) -> Rounding:
        """The nearest elements are taken as they are."""
        return EXACT if self.interpolation == "nearest" else self.rounding

    def infer(self, x: TensorType) -> Types:
        """Each spatial size times its factor."""
        rank = len(self.factors)
        if not 1 <= rank <= 3 or any(factor <= 0 for factor in self.factors):
            raise ArgumentError(f"UpSample takes 1 to 3 factors above 0, got {self.factors}")
        if self.interpolation not in ("nearest", "bilinear"):
            raise ArgumentError(f"UpSample takes interpolation 'nearest' or 'bilinear', got {self.interpolation!r}")
        if self.data_format not in ("channels_last", "channels_first"):
            raise ArgumentError(f"data_format is 'channels_last' or 'channels_first', got {self.data_format!r}")
        if self.interpolation == "bilinear":
            require("float", x)
            if rank != 2:
                raise ArgumentError(f"bilinear interpolation takes two spatial axes, got {rank}")
        if x.rank != rank + 2:
            raise ShapeError(
                f"UpSample of {rank} spatial axes takes x of rank {rank + 2}, got {x.rank}",
                remedy=f"x needs a batch axis, {rank} spatial axes and a channel axis ({self.data_format})",
            )
        shape = list(x.shape)
        for axis, factor in zip(self.spatial_axes, self.factors, strict=True):
            shape[axis] = shape[axis] * factor
        return (x.with_shape(tuple(shape)),)


def upsample(
    inputs: Operand, factors: int | Sequence[int], interpolation: str = "nearest", data_format: str | None = None
) -> Value:
    """Each spatial axis enlarged by an integer factor. Shapes: [n, *d, c] -> [n, *(d * factors), c].

    interpolation: "nearest", or "bilinear" for images.

    >>> show(ops.upsample([[[1.0], [2.0]]], 2))
    [[[1.0], [1.0], [2.0], [2.0]]]
    """
    value = as_value(inputs)
    numbers = (factors,) * (value.ndim - 2) if isinstance(factors, int) else tuple(int(f) for f in factors)
    return apply(UpSample(numbers, interpolation, data_format or "channels_last"), value)


@dataclass(frozen=True)
class Resize(Op):
    """x: t[n, h, w, c] -> t[n, *size, c]; channels_first: t[n, c, h, w] -> t[n, c, *size].

    nearest takes one pixel, of any dtype; bilinear, bicubic, lanczos3 and lanczos5 are weighted sums of floats, along
    each axis by `dagir.ops.interpolation.matrix`.  keras.ops.image.resize; ONNX Resize-18: half_pixel, and for bicubic
    cubic_coeff_a=-0.5 and exclude_outside.
    """

    rounding = INTERPOLATED
    bound_to_layout = True
    shape_fields = ("size",)
    size: Shape
    interpolation: str = "bilinear"
    antialias: bool = False
    data_format: str = "channels_last"

    @property
    def spatial_axes(self) -> tuple[int, int]:
        """The axes of height and width."""
        return (1, 2) if self.data_format == "channels_last" else (2, 3)

    def how_it_rounds(self) -> Rounding:
        """The nearest elements are taken as they are."""
        return EXACT if self.interpolation == "nearest" else self.rounding

    def infer(self, x: TensorType) -> Types:
        """Height and width replaced by the size."""
        if self.interpolation != "nearest" and self.interpolation not in RADII:
            known = ", ".join(["nearest", *RADII])
            raise ArgumentError(f"unknown interpolation {self.interpolation!r}", remedy=f"use one of {known}")
        require("number" if self.interpolation == "nearest" else "float", x)
        if self.data_format not in ("channels_last", "channels_first"):
            raise ArgumentError(f"data_format is 'channels_last' or 'channels_first', got {self.data_format!r}")
        if x.rank != 4:
            raise ShapeError(f"Resize takes x of rank 4, got {x.rank}")
        numbers = [size for size in self.size if not isinstance(size, SymbolicDim)]
        if len(self.size) != 2 or any(not isinstance(size, int) or size < 1 for size in numbers):
            raise ArgumentError(f"Resize takes a height and a width of at least 1, got {self.size}")
        shape = list(x.shape)
        for axis, size in zip(self.spatial_axes, self.size, strict=True):
            if shape[axis] == 0:
                raise ShapeError("there is no pixel to resize", marks={0: [axis]})
            shape[axis] = size
        return (x.with_shape(tuple(shape)),)


@dataclass(frozen=True)
class Window(Op):
    """x: t[*s] -> t[*s with `sizes` on `axes`], from `starts` on; named sizes may be in both.  ONNX Slice-13."""

    rounding = EXACT
    moves_only = True
    shape_fields = ("starts", "sizes")
    axes: tuple[int, ...]
    starts: Shape
    sizes: Shape

    def infer(self, x: TensorType) -> Types:
        """The sizes on the axes. A window that goes beyond the edge is an error, if the sizes are known."""
        shape = list(x.shape)
        for axis, start, size in zip(self.axes, self.starts, self.sizes, strict=True):
            whole = shape[axis]
            if isinstance(start, int) and isinstance(size, int) and (start < 0 or size < 0):
                raise ArgumentError(f"a window starts at 0 or later and has a size of at least 0, got {start}, {size}")
            end = start + size
            if isinstance(end, int) and isinstance(whole, int) and end > whole:
                raise ShapeError(f"the window reaches to {end}, the axis has {whole}", marks={0: [axis]})
            shape[axis] = size
        return (x.with_shape(tuple(shape)),)


def window(x: Operand, axes: Sequence[int], starts: Sequence[Dim], sizes: Sequence[Dim]) -> Value:
    """The part of x that begins at `starts` and has `sizes` on `axes`; named sizes as ops.shape(x) gives them.

    >>> show(ops.window([[1, 2, 3], [4, 5, 6]], axes=(1,), starts=(1,), sizes=(2,)))
    [[2, 3], [5, 6]]
    """
    return apply(Window(tuple(axes), tuple(starts), tuple(sizes)), as_value(x))
