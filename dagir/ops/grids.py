"""Sampling at places that the data give: GridSample, and DeformConv, a convolution whose kernel points move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim
from dagir.ir.graph import Op, Operand, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import Disturbed, Rounding
from dagir.ir.types import Array, DType, Equations, Inferred, Shape, TensorType
from dagir.ops.operands import reference, require, same_dtype

__all__ = [
    "DeformConv",
    "GridSample",
    "deform_conv",
    "grid_sample",
]

CUBIC_COEFFICIENT = -0.75


def _moved(op: GridSample, disturbed: Disturbed) -> Array:
    """As if at other places: a kernel reckons them in the target dtype, from numbers between -1 and 1."""
    x, grid = disturbed.operands
    assert x is not None
    assert grid is not None
    noise = 2 * disturbed.eps * disturbed.rng.standard_normal(grid.shape) * np.maximum(np.abs(grid), 1)
    (there,) = disturbed.apply([x, grid + noise], DType.FLOAT64)
    (here,) = disturbed.apply([x, grid], DType.FLOAT64)
    return np.asarray(disturbed.result + (there - here), disturbed.result.dtype)


@dataclass(frozen=True)
class GridSample(Op):
    """x: f[n, *d, c], grid: f[n, *s, r] -> f[n, *s, c]; channels_first: f[n, c, *d] -> f[n, c, *s]: x at r-D places.

    A place has one number for each of the r spatial axes, the last axis first: -1 is the start and 1 the end of the
    axis, between the centres of its ends with align_corners, else between their edges. mode: nearest, linear or cubic.
    padding_mode: what is outside is zeros, the border, or a reflection.  ONNX GridSample-22.
    """

    rounding = Rounding(compound=True, errors=(_moved,))
    bound_to_layout = True
    operands: ClassVar[tuple[str, ...]] = ("x", "grid")
    mode: str = "linear"
    padding_mode: str = "zeros"
    align_corners: bool = False
    data_format: str = "channels_last"

    def infer(self, x: TensorType, grid: TensorType) -> Inferred:
        """The batch and the channels of x, and the places of the grid."""
        equations = Equations()
        _one_of("mode", self.mode, ("nearest", "linear", "cubic"))
        _one_of("padding_mode", self.padding_mode, ("zeros", "border", "reflection"))
        _one_of("data_format", self.data_format, ("channels_last", "channels_first"))
        require("float", x, grid)
        if x.rank < 3 or grid.rank < 2 or grid.shape[-1] != x.rank - 2:
            raise ShapeError(
                f"GridSample takes x of rank r + 2 and a grid whose last axis is r, got ranks {x.rank} and {grid.rank}",
                remedy="give the grid one number for each spatial axis of x",
            )
        batch = equations.equate(x.shape[0], grid.shape[0])
        if batch is None:
            raise ShapeError(f"x and the grid have {x.shape[0]} and {grid.shape[0]} samples", marks={0: [0], 1: [0]})
        last = self.data_format == "channels_last"
        axes = range(1, x.rank - 1) if last else range(2, x.rank)
        if any(x.shape[axis] == 0 for axis in axes):
            raise ShapeError("there is no element to sample", marks={0: list(axes)})
        places = grid.shape[1:-1]
        shape: Shape = (batch, *places, x.shape[-1]) if last else (batch, x.shape[1], *places)
        return equations.inferred(x.with_shape(shape))


def grid_sample(
    x: Operand,
    grid: Operand,
    mode: str = "linear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
    data_format: str | None = None,
) -> Value:
    """x at the places of a grid. Shapes: [n, *d, c], [n, *s, r] -> [n, *s, c].

    grid: for each place one number between -1 and 1 for each spatial axis, the last axis first. mode: "nearest",
    "linear" or "cubic". padding_mode: "zeros", "border" or "reflection". align_corners: whether -1 and 1 are the
    centres of the first and the last element, not their edges.

    >>> show(ops.grid_sample([[[1.0], [2.0], [4.0]]], [[[0.0], [1.0]]], align_corners=True))
    [[[2.0], [4.0]]]
    """
    value = as_value(x, like=reference(grid))
    op = GridSample(mode, padding_mode, align_corners, data_format or "channels_last")
    return apply(op, value, as_value(grid, like=value))


@dataclass(frozen=True)
class DeformConv(Op):
    """x: f[n, h, w, c], w: f[kh, kw, c/groups, o], offset: f[n, k*2, oh, ow], b: f[o]?, mask: f[n, k, oh, ow]?
    -> f[n, oh, ow, o]; channels_first: f[n, c, h, w] -> f[n, o, oh, ow].

    A convolution where each point of the kernel is moved by its offset, down and to the right, and weighted by the
    mask. k is offset_groups * kh * kw: each group of channels has offsets of its own. Places between elements are
    interpolated, and what is outside is 0.  ONNX DeformConv-22.
    """

    rounding = Rounding(compound=True)
    bound_to_layout = True
    operands: ClassVar[tuple[str, ...]] = ("x", "w", "offset", "b", "mask")
    strides: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    dilations: tuple[int, int]
    groups: int = 1
    offset_groups: int = 1
    data_format: str = "channels_last"

    def infer(
        self,
        x: TensorType,
        w: TensorType,
        offset: TensorType,
        b: TensorType | None = None,
        mask: TensorType | None = None,
    ) -> Inferred:
        """Batch, filters, and the places of the kernel."""
        equations = Equations()
        _one_of("data_format", self.data_format, ("channels_last", "channels_first"))
        same_dtype(x, w, offset, *(each for each in (b, mask) if each is not None))
        require("float", x)
        if x.rank != 4 or w.rank != 4 or offset.rank != 4:
            raise ShapeError(f"DeformConv takes x, w and offset of rank 4, got {x.rank}, {w.rank} and {offset.rank}")
        last = self.data_format == "channels_last"
        *window, out = self._checked_kernel(equations, x.shape[3 if last else 1], w)
        if b is not None and b.shape != (out,):
            raise ShapeError(f"the bias must have shape [{out}]", marks={3: list(range(b.rank))})
        sizes = self.places(x.shape[1:3] if last else x.shape[2:], window)
        points = self.offset_groups * window[0] * window[1]
        agreed = _agreed(equations, (x.shape[0], 2 * points, *sizes), offset, "offset")
        if mask is not None:
            agreed = _agreed(equations, (agreed[0], points, *agreed[2:]), mask, "mask")
        shape = (agreed[0], *agreed[2:], out) if last else (agreed[0], out, *agreed[2:])
        return equations.inferred(x.with_shape(shape))

    def _checked_kernel(self, equations: Equations, channels: Dim, w: TensorType) -> list[int]:
        """The rows and the columns of the kernel, and its filters."""
        kernel = [size for size in w.shape if isinstance(size, int) and size > 0]
        if len(kernel) < 4:
            raise ShapeError(f"the kernel needs fixed sizes above 0, got {list(w.shape)}")
        *window, inner, out = kernel
        takes = inner * self.groups
        if equations.equate(channels, takes) is None or out % self.groups or takes % self.offset_groups:
            raise ShapeError(
                f"{channels} channels and {out} filters do not fit a kernel that takes {inner}, "
                f"{self.groups} groups and {self.offset_groups} groups of offsets",
                marks={1: [2, 3]},
            )
        return [*window, out]

    def places(self, sizes: Shape, window: list[int]) -> list[Dim]:
        """How many places the kernel has on each axis."""
        found: list[Dim] = []
        for axis, size in enumerate(sizes):
            extent = (window[axis] - 1) * self.dilations[axis] + 1
            found.append((size + sum(self.padding[axis]) - extent) // self.strides[axis] + 1)
        return found


def _agreed(equations: Equations, wanted: Shape, given: TensorType, what: str) -> Shape:
    if given.rank != 4:
        raise ShapeError(f"its {what} has rank {given.rank}, not 4")
    found: list[Dim] = []
    for axis, (size, other) in enumerate(zip(wanted, given.shape, strict=True)):
        agreed = equations.equate(size, other)
        if agreed is None:
            raise ShapeError(f"the {what} must have shape {list(wanted)}, got {list(given.shape)}: axis {axis}")
        found.append(agreed)
    return tuple(found)


def deform_conv(
    x: Operand,
    kernel: Operand,
    offset: Operand,
    bias: Operand | None = None,
    mask: Operand | None = None,
    strides: tuple[int, int] = (1, 1),
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
    dilation_rate: tuple[int, int] = (1, 1),
    groups: int = 1,
    offset_groups: int = 1,
    data_format: str | None = None,
) -> Value:
    """A convolution whose kernel points are moved. Shapes: [n, h, w, c], [kh, kw, c/groups, o] -> [n, oh, ow, o].

    offset: [n, offset_groups * kh * kw * 2, oh, ow], for each point how far down and how far to the right it moves.
    mask: [n, offset_groups * kh * kw, oh, ow], a factor for each point. bias: [o]. groups: of channels, each with
    filters of its own. padding: (before, after) for both axes.

    >>> offset = np.float32([[[[0.5]], [[0.0]]]])
    >>> show(ops.deform_conv([[[[1.0]], [[3.0]]]], [[[[1.0]]]], offset, padding=((0, -1), (0, 0))))
    [[[[2.0]]]]
    """
    value = as_value(x)
    rest = [None if each is None else as_value(each, like=value) for each in (kernel, offset, bias, mask)]
    op = DeformConv(strides, padding, dilation_rate, groups, offset_groups, data_format or "channels_last")
    return apply(op, value, *rest)


def _one_of(what: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise ArgumentError(f"unknown {what} {given!r}", remedy=f"use one of {', '.join(known)}")
