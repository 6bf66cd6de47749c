"""Resizing: UpSample by whole factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dagir.errors import ArgumentError, ShapeError
from dagir.graph import Op, Types, Value, apply, as_value
from dagir.ops.elementwise import require
from dagir.types import TensorType

__all__ = ["UpSample", "upsample"]


@dataclass(frozen=True)
class UpSample(Op):
    """x: t[n, *d, c] -> t[n, *(d * factors), c]; channels_first: t[n, c, *d] -> t[n, c, *(d * factors)].

    nearest repeats each element; bilinear, of floats over two axes, interpolates between the elements' centres and
    holds the edge.  keras.layers.UpSampling2D; ONNX Resize-18: asymmetric and floor, or linear and half_pixel.
    """

    factors: tuple[int, ...]
    interpolation: str = "nearest"
    data_format: str = "channels_last"

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """The axes of x that grow."""
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + len(self.factors)))

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
    inputs: Any, factors: int | Sequence[int], interpolation: str = "nearest", data_format: str | None = None
) -> Value:
    """Each spatial axis grown by a whole factor. Shapes: [n, *d, c] -> [n, *(d * factors), c]."""
    value = as_value(inputs)
    numbers = (factors,) * (value.ndim - 2) if isinstance(factors, int) else tuple(int(f) for f in factors)
    return apply(UpSample(numbers, interpolation, data_format or "channels_last"), value)
