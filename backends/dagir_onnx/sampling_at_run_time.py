"""Sampling along an axis of unknown size: places, indices and weights are computed in the graph."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.types import DType, TensorType
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.integers import cast
from dagir_onnx.interpolation import Calculator, counted, number


def sampled_at_run_time(op: ops.Interpolate, emit: Emitter, x: Tensor, place: int) -> tuple[Tensor, Tensor]:
    """The tensor sampled along one axis, and whether each place there is outside."""
    of, axis = Calculator(emit), op.axes[place]
    size, target = x.type.shape[axis], op.sizes[place]
    at, scale = _places(op, emit, of, place, (size, target))
    last = emit("Sub", number(emit, size), emit.constant(1, np.float32))
    beyond = emit("Or", of("Less", at, 0.0), of("Greater", at, last), type=TensorType(DType.BOOL, (target,)))
    kind = x.type.with_shape((*x.type.shape[:axis], target, *x.type.shape[axis + 1 :]))

    def gathered(places: Tensor) -> Tensor:
        ids = cast(emit, of("Min", of("Max", places, 0.0), last), DType.INT64)
        found: Tensor = emit("Gather", x, ids, axis=axis, type=kind)
        return found

    if op.mode == "nearest":
        return gathered(_rounded(op, emit, of, at, scale)), beyond
    first = of("Floor", at)
    places = [of("Add", first, float(tap)) for tap in ((-1, 0, 1, 2) if op.mode == "cubic" else (0, 1))]
    heights = [_height(op, of, of("Abs", of("Sub", at, each))) for each in places]
    if op.exclude_outside:
        heights = [_inside(of, height, each, last) for height, each in zip(heights, places, strict=True)]
        total = emit("Sum", *heights)
        heights = [of("Div", height, total) for height in heights]
    column = emit.ints(*(-1 if each == axis else 1 for each in range(x.type.rank)))
    products = []
    for each, height in zip(places, heights, strict=True):
        factors = cast(emit, emit("Reshape", height, column), x.type.dtype)
        products.append(emit("Mul", gathered(each), factors, type=kind))
    summed: Tensor = emit("Sum", *products, type=kind)
    return summed, beyond


def _places(
    op: ops.Interpolate, emit: Emitter, of: Calculator, place: int, sizes: tuple[Dim, Dim]
) -> tuple[Tensor, Tensor]:
    """f[target], the places; and how many elements of the result one of x makes."""
    size, target = (number(emit, each) for each in sizes)
    scale: Tensor = of("Div", target, size)
    if op.scales is not None:
        scale = emit.constant(np.asarray([op.scales[place]], np.float32))
    index = counted(emit, sizes[1])
    last, steps = of("Sub", size, 1.0), of("Max", of("Sub", target, 1.0), 1.0)
    several = of("Greater", target, 1.0)
    if op.coordinates == "align_corners":
        return of("Where", several, of("Div", of("Mul", index, last), steps), of("Mul", index, 0.0)), scale
    if op.coordinates == "asymmetric":
        return of("Div", index, scale), scale
    if op.coordinates == "tf_crop_and_resize":
        assert op.roi is not None
        start, end = (float(np.float32(each)) for each in op.roi[place])
        moved = of("Div", of("Mul", of("Mul", index, end - start), last), steps)
        middle = of("Add", of("Mul", last, 0.5 * (start + end)), index)
        return of("Where", several, of("Add", of("Mul", last, start), moved), middle), scale
    centres = of("Div", of("Add", index, 0.5), scale)
    if op.coordinates == "tf_half_pixel_for_nn":
        return centres, scale
    if op.coordinates == "half_pixel_symmetric":
        adjustment = of("Div", target, of("Mul", scale, size))
        centres = of("Add", of("Mul", of("Div", size, 2.0), of("Sub", 1.0, adjustment)), centres)
    found = of("Sub", centres, 0.5)
    if op.coordinates == "pytorch_half_pixel":
        found = of("Where", several, found, of("Mul", index, 0.0))
    return found, scale


def _rounded(op: ops.Interpolate, emit: Emitter, of: Calculator, at: Tensor, scale: Tensor) -> Tensor:
    if op.nearest_mode == "simple":
        return of("Where", of("Less", scale, 1.0), of("Ceil", at), of("Floor", at))
    if op.nearest_mode == "round_prefer_floor":
        return of("Ceil", of("Sub", at, 0.5))
    if op.nearest_mode == "round_prefer_ceil":
        return of("Floor", of("Add", at, 0.5))
    return of("Floor" if op.nearest_mode == "floor" else "Ceil", at)


def _height(op: ops.Interpolate, of: Calculator, t: Tensor) -> Tensor:
    if op.mode == "linear":
        return of("Max", of("Sub", 1.0, t), 0.0)
    a = op.cubic_coeff_a
    far = of.choose("Less", t, 2.0, of.polynomial(t, a, -5 * a, 8 * a, -4 * a), 0.0)
    return of.choose("LessOrEqual", t, 1.0, of.polynomial(t, a + 2, -(a + 3), 0.0, 1.0), far)


def _inside(of: Calculator, height: Tensor, places: Tensor, last: Tensor) -> Tensor:
    """The weight, or 0 where the place is outside."""
    low = of("Where", of("Less", places, 0.0), 0.0, height)
    return of("Where", of("Greater", places, last), 0.0, low)
