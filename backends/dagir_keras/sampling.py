"""Sampling at other places: indices and weights that are computed before, or within the model for sizes of the run."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import backend
from keras import ops as K

from dagir import ops
from dagir.errors import UnsupportedOp
from dagir.ir.dims import SymbolicDim
from dagir.ir.graph import Node
from dagir.ops.sampling import nearest_element, outside, weights
from dagir_keras.rules import rules


@rules.rule(ops.Interpolate)
def interpolate(op: ops.Interpolate, x: Any) -> Any:
    dtype = backend.standardize_dtype(x.dtype)
    y = x if op.mode == "nearest" or dtype == "float64" else K.cast(x, "float32")
    beyond: Any = None
    for place, (axis, target) in enumerate(zip(op.axes, op.sizes, strict=True)):
        size = K.shape(x)[axis]
        if isinstance(size, int) and isinstance(target, int):
            missing: Any = outside(op, place, size, target)
            y = _known(op, y, place, size, target)
        else:
            missing, y = _at_run_time(op, y, place, size, target)
        if op.coordinates == "tf_crop_and_resize":
            column = K.reshape(
                K.convert_to_tensor(missing), [-1 if each == axis else 1 for each in range(len(x.shape))]
            )
            beyond = column if beyond is None else K.logical_or(beyond, column)
    if beyond is not None:
        y = K.where(beyond, K.cast(op.extrapolation_value, y.dtype), y)
    return K.cast(y, dtype)


def needs_layer(node: Node) -> bool:
    """Whether the rule can run only within a Keras layer: places follow from sizes that a KerasTensor may not know."""
    if not isinstance(node.op, ops.Interpolate) or node.inputs[0] is None:
        return False
    sizes = [node.inputs[0].type.shape[axis] for axis in node.op.axes]
    return any(isinstance(size, SymbolicDim) for size in (*sizes, *node.op.sizes))


def _known(op: ops.Interpolate, x: Any, place: int, size: int, target: int) -> Any:
    axis = op.axes[place]
    if op.mode == "nearest":
        return K.take(x, nearest_element(op, place, size, target), axis=axis)
    matrix = weights(op, place, size, target)
    if size == target and np.array_equal(matrix, np.eye(size)):
        return x
    turned = K.moveaxis(x, axis, -1)
    return K.moveaxis(K.matmul(turned, K.convert_to_tensor(matrix.T, dtype=x.dtype)), -1, axis)


def _at_run_time(op: ops.Interpolate, x: Any, place: int, size: Any, target: Any) -> tuple[Any, Any]:
    """Whether each place is outside, and the elements there: one, or the sum of two or four that are around it."""
    if op.antialias:
        raise UnsupportedOp("antialiasing by sizes of the run", remedy="give the input fixed sizes")
    axis = op.axes[place]
    at, scale = _places(op, place, K.cast(size, "float32"), K.cast(target, "float32"), target)
    last = K.cast(size, "int32") - 1
    missing = K.logical_or(at < 0, at > K.cast(last, "float32"))
    if op.mode == "nearest":
        ids = K.clip(K.cast(_rounded(op, at, scale), "int32"), 0, last)
        return missing, K.take(x, ids, axis=axis)
    first = K.floor(at)
    taps = (-1, 0, 1, 2) if op.mode == "cubic" else (0, 1)
    parts, heights = [], []
    for tap in taps:
        ids = K.cast(first, "int32") + tap
        height = _height(op, K.absolute(at - first - tap))
        if op.exclude_outside:
            height = K.where(K.logical_or(ids < 0, ids > last), K.zeros_like(height), height)
        heights.append(height)
        parts.append(K.take(x, K.clip(ids, 0, last), axis=axis))
    if op.exclude_outside:
        total = sum(heights[1:], heights[0])
        heights = [height / total for height in heights]
    shape = [-1 if each == axis else 1 for each in range(len(x.shape))]
    products = [part * K.cast(K.reshape(height, shape), x.dtype) for part, height in zip(parts, heights, strict=True)]
    return missing, sum(products[1:], products[0])


def _places(op: ops.Interpolate, place: int, size: Any, target: Any, count: Any) -> tuple[Any, Any]:
    """f32[target], the places; and how many elements of the result one of x makes."""
    scale = target / size if op.scales is None else K.cast(op.scales[place], "float32")
    index = K.cast(K.arange(count), "float32")
    several = target > 1
    steps = K.where(several, target - 1, 1.0)
    if op.coordinates == "align_corners":
        return K.where(several, index * (size - 1) / steps, index * 0), scale
    if op.coordinates == "asymmetric":
        return index / scale, scale
    if op.coordinates == "tf_half_pixel_for_nn":
        return (index + 0.5) / scale, scale
    if op.coordinates == "tf_crop_and_resize":
        assert op.roi is not None
        start, end = op.roi[place]
        whole = start * (size - 1) + index * (end - start) * (size - 1) / steps
        return K.where(several, whole, index + 0.5 * (start + end) * (size - 1)), scale
    moved = (index + 0.5) / scale - 0.5
    if op.coordinates == "pytorch_half_pixel":
        return K.where(several, moved, index * 0), scale
    if op.coordinates == "half_pixel_symmetric":
        moved = size / 2 * (1 - target / (scale * size)) + moved
    return moved, scale


def _rounded(op: ops.Interpolate, at: Any, scale: Any) -> Any:
    if op.nearest_mode == "simple":
        return K.where(scale < 1, K.ceil(at), K.floor(at))
    if op.nearest_mode == "round_prefer_floor":
        return K.ceil(at - 0.5)
    if op.nearest_mode == "round_prefer_ceil":
        return K.floor(at + 0.5)
    return K.floor(at) if op.nearest_mode == "floor" else K.ceil(at)


def _height(op: ops.Interpolate, t: Any) -> Any:
    if op.mode == "linear":
        return K.maximum(1 - t, 0.0)
    a = op.cubic_coeff_a
    near, far = ((a + 2) * t - (a + 3)) * t * t + 1, ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return K.where(t <= 1, near, K.where(t < 2, far, K.zeros_like(t)))
