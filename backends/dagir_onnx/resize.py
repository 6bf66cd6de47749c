"""Resizing."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagir import ops
from dagir.errors import UnsupportedOp
from dagir.ir.dims import Dim
from dagir.ir.types import DType, TensorType
from dagir.ops.interpolation import matrix, nearest
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.interpolation import weights_at_run_time
from dagir_onnx.layout import channels_back, channels_first
from dagir_onnx.rules import rules

_RESIZED = (DType.FLOAT32, DType.FLOAT16, DType.INT32, DType.INT8, DType.UINT8)  # onnxruntime has kernels for these


@rules.rule(ops.UpSample)
def upsample(op: ops.UpSample, emit: Emitter, x: Tensor) -> Tensor:
    if x.type.dtype not in _RESIZED:
        return _repeated(op, emit, x)
    factors = dict(zip(op.spatial_axes, op.factors, strict=True))
    scales = emit.constant([factors.get(axis, 1) for axis in range(x.type.rank)], np.float32)
    if op.interpolation == "bilinear":
        return emit("Resize", x, None, scales, mode="linear", coordinate_transformation_mode="half_pixel")
    at = "asymmetric"
    return emit("Resize", x, None, scales, mode="nearest", coordinate_transformation_mode=at, nearest_mode="floor")


def _repeated(op: ops.UpSample, emit: Emitter, x: Tensor) -> Tensor:
    """Without Resize: a new axis after each spatial axis, tiled, and merged with it."""
    if op.interpolation != "nearest":
        raise UnsupportedOp(
            f"onnxruntime interpolates no {x.type.dtype}", remedy="cast the input to float32 before upsampling"
        )
    new = [axis + i for i, axis in enumerate(op.spatial_axes, start=1)]
    repeats = [1] * (x.type.rank + len(new))
    for axis, factor in zip(new, op.factors, strict=True):
        repeats[axis] = factor
    tiled = emit("Tile", emit("Unsqueeze", x, emit.ints(*new)), emit.ints(*repeats))
    target: list[Dim] = list(emit.outputs[0].type.shape)
    return emit("Reshape", tiled, emit.shape_tensor(target))


@rules.rule(ops.Resize)
def resize(op: ops.Resize, emit: Emitter, x: Tensor) -> Tensor:
    """Resize where onnxruntime computes the same as TensorFlow; else a Gather, or products with the weights.

    onnxruntime 1.32 has a cubic Resize for channels-first only, but moves a Transpose past it anyway.
    """
    dtype = x.type.dtype
    if op.interpolation == "nearest":
        return _nearest(op, emit, x)
    if dtype in (DType.FLOAT16, DType.BFLOAT16):
        wide = emit("Cast", x, to=TO_ONNX[DType.FLOAT32], type=x.type.with_dtype(DType.FLOAT32))
        return emit("Cast", resize(op, emit, wide), to=TO_ONNX[dtype])
    if dtype is DType.FLOAT32 and not op.antialias and op.interpolation == "bilinear":
        return _resized(op, emit, x, mode="linear", coordinate_transformation_mode="half_pixel")
    return _products(op, emit, x)


def _resized(op: ops.Resize, emit: Emitter, x: Tensor, **attributes: Any) -> Tensor:
    """Sizes for all axes: given `axes`, onnxruntime 1.32 loses them where it moves a Transpose past the node."""
    shape = list(x.type.shape)
    for axis, size in zip(op.spatial_axes, op.size, strict=True):
        shape[axis] = size
    found: Tensor = emit("Resize", x, None, None, emit.shape_tensor(shape), **attributes)
    return found


def _nearest(op: ops.Resize, emit: Emitter, x: Tensor) -> Tensor:
    """By Gather: between two pixels Resize may take another one than TensorFlow, which computes in float32."""
    old = [x.type.shape[axis] for axis in op.spatial_axes]
    if x.type.dtype in _RESIZED and all(_has_no_middle(*pair) for pair in zip(old, op.size, strict=True)):
        at = "half_pixel"
        return _resized(
            op, emit, x, mode="nearest", coordinate_transformation_mode=at, nearest_mode="round_prefer_ceil"
        )
    for axis, size, target in zip(op.spatial_axes, old, op.size, strict=True):
        x = emit("Gather", x, _nearest_pixels(emit, size, target), axis=axis)
    return x


def _has_no_middle(size: Dim, target: Dim) -> bool:
    if not isinstance(size, int) or not isinstance(target, int):
        return False
    odd = 2 * np.arange(target) + 1
    return bool(np.all(odd * size % (2 * target)))


def _nearest_pixels(emit: Emitter, size: Dim, target: Dim) -> Tensor:
    if isinstance(size, int) and isinstance(target, int):
        return emit.constant(nearest(size, target))
    places = emit("Floor", _centres(emit, size, target))
    ids = emit("Cast", places, to=TO_ONNX[DType.INT64], type=places.type.with_dtype(DType.INT64))
    found: Tensor = emit("Min", ids, emit.size(size - 1), type=ids.type)
    return found


def _centres(emit: Emitter, size: Dim, target: Dim) -> Tensor:
    """f[target]: the place of each pixel's centre on the axis of the input, in float32."""
    float32 = TensorType(DType.FLOAT32, (1,))

    def number(dim: Dim) -> Tensor:
        found: Tensor = emit("Cast", emit.size(dim), to=TO_ONNX[DType.FLOAT32], type=float32)
        return found

    count = emit("Squeeze", emit.size(target), type=TensorType(DType.INT64, ()))
    one = emit.constant(1, np.int64)
    ids = emit("Range", emit.constant(0, np.int64), count, one, type=TensorType(DType.INT64, (target,)))
    steps = emit("Cast", ids, to=TO_ONNX[DType.FLOAT32], type=float32.with_shape((target,)))
    step = emit("Div", number(size), number(target))
    found: Tensor = emit("Mul", emit("Add", steps, emit.constant(0.5, np.float32)), step, type=steps.type)
    return found


def _products(op: ops.Resize, emit: Emitter, x: Tensor) -> Tensor:
    """rows[h', h] @ x[n, c, h, w] @ columns[w, w']."""
    y = channels_first(op, emit, x)
    rows, columns = (_weights(op, emit, x, place) for place in range(2))
    if columns is not None:
        y = emit(
            "MatMul", y, emit("Transpose", columns, perm=(1, 0)) if columns.make is None else _flipped(emit, columns)
        )
    if rows is not None:
        y = emit("MatMul", rows, y, type=x.type)
    return channels_back(op, emit, y)


def _flipped(emit: Emitter, weights: Tensor) -> Tensor:
    return emit.constant(weights.array.T)


def _weights(op: ops.Resize, emit: Emitter, x: Tensor, place: int) -> Tensor | None:
    """[target, size]; None where the axis keeps its size."""
    size, target, dtype = x.type.shape[op.spatial_axes[place]], op.size[place], x.type.dtype
    if size == target:
        return None
    if isinstance(size, int) and isinstance(target, int):
        return emit.constant(matrix(size, target, op.interpolation, op.antialias), dtype)
    return weights_at_run_time(emit, op, size, target, _centres(emit, size, target), dtype)


@rules.rule(ops.Window)
def window(op: ops.Window, emit: Emitter, x: Tensor) -> Tensor:
    ends = [start + size for start, size in zip(op.starts, op.sizes, strict=True)]
    return emit("Slice", x, emit.shape_tensor(op.starts), emit.shape_tensor(ends), emit.ints(*op.axes))
