"""Regions of images, pooled to one size: RoiAlign, RoiMaxPool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dagir.errors import ArgumentError, DTypeError, ShapeError
from dagir.ir.graph import Op, Operand, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import Disturbed, Rounding
from dagir.ir.types import Array, DType, Equations, Inferred, Shape, TensorType
from dagir.ops.operands import reference, require

__all__ = [
    "RoiAlign",
    "RoiMaxPool",
    "roi_align",
    "roi_max_pool",
]


def _moved(op: RoiAlign | RoiMaxPool, disturbed: Disturbed) -> Array:
    """As if of regions whose ends are rounded: how many samples a region has may change with them."""
    x, rois, numbers = disturbed.operands
    assert rois is not None
    noise = disturbed.eps * disturbed.rng.standard_normal(rois.shape) * np.maximum(np.abs(rois), 1)
    (there,) = disturbed.apply([x, rois + noise, numbers], DType.FLOAT64)
    (here,) = disturbed.apply([x, rois, numbers], DType.FLOAT64)
    return np.asarray(disturbed.result + (there - here), disturbed.result.dtype)


@dataclass(frozen=True)
class _Regions(Op):
    """What both have: the fields, and the shape rule."""

    bound_to_layout = True
    operands: ClassVar[tuple[str, ...]] = ("x", "rois", "numbers")
    output_size: tuple[int, int]
    spatial_scale: float = 1.0

    @property
    def layout(self) -> str:
        """Where the channels are."""
        found: str = getattr(self, "data_format", "channels_last")
        return found

    def infer(self, x: TensorType, rois: TensorType, numbers: TensorType) -> Inferred:
        """One image of the output size for each region."""
        equations = Equations()
        require("float", x, rois)
        if not numbers.dtype.is_integer:
            raise DTypeError(f"the numbers of the images are integers, got {numbers.dtype}")
        if self.layout not in ("channels_last", "channels_first"):
            raise ArgumentError(f"data_format is 'channels_last' or 'channels_first', got {self.layout!r}")
        if len(self.output_size) != 2 or min(self.output_size) < 1:
            raise ArgumentError(f"the output size is two numbers above 0, got {self.output_size}")
        if x.rank != 4 or rois.rank != 2 or rois.shape[1] != 4 or numbers.rank != 1:
            raise ShapeError(
                f"{type(self).__name__} takes x of rank 4, rois [k, 4] and numbers [k], got ranks {x.rank}, "
                f"{rois.rank} and {numbers.rank}"
            )
        count = equations.equate(rois.shape[0], numbers.shape[0])
        if count is None:
            raise ShapeError(
                f"there are {rois.shape[0]} regions and {numbers.shape[0]} numbers", marks={1: [0], 2: [0]}
            )
        last = self.layout == "channels_last"
        shape: Shape = (count, *self.output_size, x.shape[3]) if last else (count, x.shape[1], *self.output_size)
        return equations.inferred(x.with_shape(shape))


@dataclass(frozen=True)
class RoiAlign(_Regions):
    """x: f[n, h, w, c], rois: f[k, 4], numbers: int[k] -> f[k, *output_size, c]; channels_first: [k, c, *output_size].

    Each region, (x1, y1, x2, y2) times spatial_scale in the image that its number says, is cut into cells, and each
    cell is the mean of sampling_ratio times sampling_ratio interpolated samples, or mode "max" of their weighted
    elements. 0 takes as many samples as the cell is large. half_pixel: elements have their centres at whole numbers
    and a half.  ONNX RoiAlign-16.
    """

    rounding = Rounding(compound=True, errors=(_moved,))
    mode: str = "avg"
    sampling_ratio: int = 0
    half_pixel: bool = True
    data_format: str = "channels_last"

    def infer(self, x: TensorType, rois: TensorType, numbers: TensorType) -> Inferred:
        """One image of the output size for each region."""
        if self.mode not in ("avg", "max") or self.sampling_ratio < 0:
            raise ArgumentError(
                f"RoiAlign takes mode 'avg' or 'max' and a sampling_ratio of 0 or more, got {self.mode!r} and "
                f"{self.sampling_ratio}"
            )
        return super().infer(x, rois, numbers)


@dataclass(frozen=True)
class RoiMaxPool(_Regions):
    """x: f[n, h, w, c], rois: f[k, 4], numbers: int[k] -> f[k, *output_size, c]; channels_first: [k, c, *output_size].

    Each region, (x1, y1, x2, y2) times spatial_scale and rounded, both ends within it, is cut into cells of whole
    elements that may overlap, and each cell is its largest element, or 0 without one.  ONNX MaxRoiPool-22.
    """

    rounding = Rounding(compound=True, errors=(_moved,))
    data_format: str = "channels_last"


def roi_align(
    x: Operand,
    rois: Operand,
    numbers: Operand,
    output_size: tuple[int, int],
    spatial_scale: float = 1.0,
    mode: str = "avg",
    sampling_ratio: int = 0,
    half_pixel: bool = True,
    data_format: str | None = None,
) -> Value:
    """Regions of images, sampled. Shapes: [n, h, w, c], rois [k, 4], numbers [k] -> [k, *output_size, c].

    rois: (x1, y1, x2, y2) of each region. numbers: the image that each is in. sampling_ratio: samples of a cell along
    an axis, 0 for as many as it is large. mode: "avg" or "max". spatial_scale: what the regions are multiplied with.
    half_pixel: whether elements have their centres at whole numbers and a half.

    >>> image = np.float32([[[[1.0], [2.0]], [[3.0], [4.0]]]])
    >>> show(ops.roi_align(image, np.float32([[0, 0, 2, 2]]), np.int64([0]), (1, 1), sampling_ratio=2))
    [[[[2.5]]]]
    """
    value = as_value(x, like=reference(rois))
    op = RoiAlign(output_size, spatial_scale, mode, sampling_ratio, half_pixel, data_format or "channels_last")
    return apply(op, value, as_value(rois, like=value), as_value(numbers))


def roi_max_pool(
    x: Operand,
    rois: Operand,
    numbers: Operand,
    output_size: tuple[int, int],
    spatial_scale: float = 1.0,
    data_format: str | None = None,
) -> Value:
    """The largest elements of cells of regions. Shapes: [n, h, w, c], rois [k, 4], numbers [k] -> [k, *output_size, c].

    rois: (x1, y1, x2, y2) of each region, whose ends are within it. numbers: the image that each is in.
    spatial_scale: what the regions are multiplied with.

    >>> image = np.float32([[[[1.0], [2.0]], [[3.0], [4.0]]]])
    >>> show(ops.roi_max_pool(image, np.float32([[0, 0, 1, 1]]), np.int64([0]), (1, 2)))
    [[[[3.0], [4.0]]]]
    """
    value = as_value(x, like=reference(rois))
    op = RoiMaxPool(output_size, spatial_scale, data_format or "channels_last")
    return apply(op, value, as_value(rois, like=value), as_value(numbers))
