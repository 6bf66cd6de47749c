"""Interpolate: an image sampled at other places, by every rule of ONNX's Resize."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor

import numpy as np

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.graph import Op, Operand, Types, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import EXACT, Rounding
from dagir.ir.types import Array, Shape, TensorType, normalize_axes
from dagir.ops.operands import require
from dagir.ops.resize import INTERPOLATED

__all__ = [
    "Interpolate",
    "interpolate",
]

COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_half_pixel_for_nn",
    "tf_crop_and_resize",
)
_LONGEST = 4096  # of an axis, up to which a scale is held against a fraction
_FINEST = 1000  # the largest denominator of such a fraction
NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil", "simple")


@dataclass(frozen=True)
class Interpolate(Op):
    """x: t[*s] -> t[*s with `sizes` on `axes`], each element from the places around its own on the axes of x.

    mode: nearest takes one element, of any dtype; linear and cubic are weighted sums of floats. coordinates: how a
    place follows from an index, from `scales` where they are given, else from the ratio of the sizes; `roi` holds
    (start, end) for each axis, for tf_crop_and_resize, where places outside have extrapolation_value.  ONNX Resize-19.
    """

    rounding = INTERPOLATED
    shape_fields = ("sizes",)
    axes: tuple[int, ...]
    sizes: Shape
    mode: str = "nearest"
    coordinates: str = "half_pixel"
    scales: tuple[float, ...] | None = None
    roi: tuple[tuple[float, float], ...] | None = None
    nearest_mode: str = "round_prefer_floor"
    cubic_coeff_a: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False
    extrapolation_value: float = 0.0

    def how_it_rounds(self) -> Rounding:
        """The nearest elements are taken as they are."""
        return EXACT if self.mode == "nearest" else self.rounding

    def infer(self, x: TensorType) -> Types:
        """The sizes on the axes."""
        self._check_fields(x)
        shape = list(x.shape)
        for axis, size in zip(self.axes, self.sizes, strict=True):
            if shape[axis] == 0 and size != 0:
                raise ShapeError("there is no element to sample", marks={0: [axis]})
            if not isinstance(size, SymbolicDim) and size < 0:
                raise ArgumentError(f"sizes are at least 0, got {self.sizes}")
            if self.antialias and (isinstance(size, SymbolicDim) or isinstance(shape[axis], SymbolicDim)):
                raise ShapeError(
                    "antialiasing needs sizes that are known before the model runs",
                    marks={0: [axis]},
                    remedy="give the input fixed sizes",
                )
            shape[axis] = size
        return (x.with_shape(tuple(shape)),)

    def _check_fields(self, x: TensorType) -> None:
        for what, given, known in (
            ("mode", self.mode, ("nearest", "linear", "cubic")),
            ("coordinates", self.coordinates, COORDINATES),
            ("nearest_mode", self.nearest_mode, NEAREST),
        ):
            if given not in known:
                raise ArgumentError(f"unknown {what} {given!r}", remedy=f"use one of {', '.join(known)}")
        require("any" if self.mode == "nearest" else "float", x)
        if normalize_axes(self.axes, x.rank) != self.axes:
            raise ArgumentError(f"axes are in ascending order and counted from the front, got {self.axes}")
        for what, numbers in (("sizes", self.sizes), ("scales", self.scales), ("roi", self.roi)):
            if numbers is not None and len(numbers) != len(self.axes):
                raise ArgumentError(f"Interpolate takes {what} for {len(self.axes)} axes, got {numbers}")
        if (self.roi is None) == (self.coordinates == "tf_crop_and_resize"):
            raise ArgumentError("tf_crop_and_resize takes a roi, and nothing else does")
        if any(not scale > 0 for scale in self.scales or ()):
            raise ArgumentError(f"scales are above 0, got {self.scales}")

    def scale(self, place: int, size: int, target: int) -> np.float32:
        """How many elements of the result one of x makes on an axis."""
        if self.scales is not None:
            return np.float32(self.scales[place])
        return np.float32(target) / np.float32(size)


def scaled_size(size: Dim, scale: float) -> Dim | None:
    """floor(size * scale) in float32, as onnxruntime has it; of a named size as a fraction of it, None without one."""
    if isinstance(size, int):
        return floor(np.float32(size) * np.float32(scale))
    ratio = Fraction(scale).limit_denominator(_FINEST)
    lengths = np.arange(1, _LONGEST)
    wanted = np.floor(lengths.astype(np.float32) * np.float32(scale))
    if not np.array_equal(wanted, lengths * ratio.numerator // ratio.denominator):
        return None
    return (size * ratio.numerator) // ratio.denominator


def positions(op: Interpolate, place: int, size: int, target: int) -> Array:
    """f32[target]: the places on an axis of x; nearest depends on their last bits, which are those of onnxruntime."""
    index, half = np.arange(target, dtype=np.float32), np.float32(0.5)
    scale, last = op.scale(place, size, target), np.float32(size - 1)
    if op.coordinates == "align_corners":
        return index * last / np.float32(target - 1) if target > 1 else index * 0
    if op.coordinates == "asymmetric":
        return index / scale
    if op.coordinates == "tf_half_pixel_for_nn":
        return (index + half) / scale
    if op.coordinates == "tf_crop_and_resize":
        assert op.roi is not None
        start, end = map(np.float32, op.roi[place])
        if target > 1:
            return start * last + index * (end - start) * last / np.float32(target - 1)
        return index + half * (start + end) * last
    if op.coordinates == "pytorch_half_pixel" and target <= 1:
        return index * 0
    moved = (index + half) / scale
    if op.coordinates == "half_pixel_symmetric":
        width = scale * np.float32(size)
        moved = np.float32(size) / 2 * (1 - np.float32(target) / width) + moved
    return np.asarray(moved - half)


def nearest_element(op: Interpolate, place: int, size: int, target: int) -> Array:
    """int64[target]: the element that is nearest to each place, as its mode rounds."""
    at = positions(op, place, size, target)
    if op.nearest_mode == "simple":  # of opset 10
        found = np.ceil(at) if op.scale(place, size, target) < 1 else np.trunc(at)
    elif op.nearest_mode == "round_prefer_floor":
        found = np.ceil(at - np.float32(0.5))
    elif op.nearest_mode == "round_prefer_ceil":
        found = np.floor(at + np.float32(0.5))
    else:
        found = np.floor(at) if op.nearest_mode == "floor" else np.ceil(at)
    return np.asarray(np.clip(found, 0, size - 1), np.int64)


def outside(op: Interpolate, place: int, size: int, target: int) -> Array:
    """bool[target]: whether a place is beyond the ends of x, so that it gets the extrapolation_value."""
    at = positions(op, place, size, target)
    return (at < 0) | (at > size - 1) if op.coordinates == "tf_crop_and_resize" else np.zeros(target, bool)


def weights(op: Interpolate, place: int, size: int, target: int) -> Array:
    """f64[target, size]: what each element of x weighs in each of the result; the edge stands for what is outside."""
    if target == 0:
        return np.zeros((0, size))
    if op.mode == "nearest":
        return np.eye(size)[nearest_element(op, place, size, target)]
    at = positions(op, place, size, target).astype(np.float64)
    stretch = max(1.0, 1.0 / float(op.scale(place, size, target))) if op.antialias else 1.0
    reach = int(np.ceil((2 if op.mode == "cubic" else 1) * stretch))
    taps = np.floor(at).astype(np.int64)[:, None] + np.arange(1 - reach, reach + 1)
    distance = np.abs(at[:, None] - taps) / stretch
    heights = _cubic(distance, op.cubic_coeff_a) if op.mode == "cubic" else np.maximum(1 - distance, 0)
    if op.exclude_outside:
        heights = np.where((taps < 0) | (taps >= size), 0, heights)
    if op.exclude_outside or op.antialias:
        total = heights.sum(axis=1, keepdims=True)
        heights = heights / np.where(total == 0, 1, total)
    found = np.zeros((target, size))
    rows = np.broadcast_to(np.arange(target)[:, None], taps.shape)
    np.add.at(found, (rows, np.clip(taps, 0, size - 1)), heights)
    return found


def _cubic(distance: Array, a: float) -> Array:
    """Keys's kernel."""
    t = distance
    near, far = ((a + 2) * t - (a + 3)) * t * t + 1, ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0))


def interpolate(op: Interpolate, x: Operand) -> Value:
    """x sampled as an Interpolate says. Shapes: [*s] -> [*s with its sizes on its axes].

    op: the axes, their sizes, and how places and values follow.

    >>> show(ops.interpolate(ops.Interpolate((0,), (4,), "linear", "asymmetric"), [1.0, 3.0]))
    [1.0, 2.0, 3.0, 3.0]
    """
    return apply(op, as_value(x))
