"""Sampling at other places: Resize where onnxruntime has a kernel for the axes, else a Gather, or products."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.types import DType
from dagir.ops.sampling import nearest_element, outside, scaled_size, weights
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.integers import cast
from dagir_onnx.rules import rules
from dagir_onnx.sampling_at_run_time import sampled_at_run_time

_RESIZED = (DType.FLOAT32, DType.FLOAT16, DType.INT32, DType.INT8, DType.UINT8)  # onnxruntime has kernels for these
_SYMMETRIC_SINCE = 19


@rules.rule(ops.Interpolate)
def interpolate(op: ops.Interpolate, emit: Emitter, x: Tensor) -> Tensor:
    """onnxruntime 1.32 moves Transposes past a cubic Resize, which it has for one layout: known sizes are products."""
    sizes = [x.type.shape[axis] for axis in op.axes]
    known = all(isinstance(size, int) for size in (*sizes, *op.sizes))
    smooth = op.mode == "cubic" or op.antialias
    if not (known and smooth) and _is_expressible(op, emit, x) and _has_kernel(op, x):
        return _resized(op, emit, x)
    return _computed(op, emit, x)


def _is_expressible(op: ops.Interpolate, emit: Emitter, x: Tensor) -> bool:
    """Whether Resize as onnxruntime has it gives the same sizes and places."""
    if op.nearest_mode == "simple" or op.coordinates == "tf_half_pixel_for_nn":
        return False
    if op.coordinates == "half_pixel_symmetric" and emit.opset < _SYMMETRIC_SINCE:
        return False
    return _gives_its_sizes(op, x) and not _crops_without_a_scale(op, x)


def _has_kernel(op: ops.Interpolate, x: Tensor) -> bool:
    rank, dtype = x.type.rank, x.type.dtype
    if op.mode == "nearest":
        return dtype in _RESIZED
    if dtype is not DType.FLOAT32 or (op.exclude_outside and op.mode != "cubic"):
        return False
    axes = [axis for axis, size in zip(op.axes, op.sizes, strict=True) if _may_change(x.type.shape[axis], size)]
    if rank == 5:
        return op.mode == "linear" and not op.antialias and min(axes, default=2) >= 2
    return all(axis >= rank - 2 for axis in axes) and rank in ((2, 4) if op.mode == "cubic" else (2, 3, 4))


def _may_change(size: Dim, target: Dim) -> bool:
    return size != target


def _surely_changes(size: Dim, target: Dim) -> bool:
    return isinstance(size, int) and isinstance(target, int) and size != target


def _crops_without_a_scale(op: ops.Interpolate, x: Tensor) -> bool:
    """Whether an axis is cropped and keeps its size: onnxruntime 1.32 then takes it as it is."""
    if op.roi is None:
        return False
    same = (not _surely_changes(x.type.shape[axis], size) for axis, size in zip(op.axes, op.sizes, strict=True))
    return any(kept and pair != (0.0, 1.0) for kept, pair in zip(same, op.roi, strict=True))


def _gives_its_sizes(op: ops.Interpolate, x: Tensor) -> bool:
    """Whether the scales give the sizes of the result; they do not where the ratio of the axes was kept."""
    pairs = [(x.type.shape[axis], size) for axis, size in zip(op.axes, op.sizes, strict=True)]
    return op.scales is None or all(
        scaled_size(old, scale) == new for (old, new), scale in zip(pairs, op.scales, strict=True)
    )


def _resized(op: ops.Interpolate, emit: Emitter, x: Tensor) -> Tensor:
    """Sizes or scales of all axes: given `axes`, onnxruntime 1.32 loses them where it moves a Transpose past it."""
    rank = x.type.rank
    scales = sizes = roi = None
    if op.scales is not None:
        every = dict(zip(op.axes, op.scales, strict=True))
        scales = emit.constant([every.get(axis, 1.0) for axis in range(rank)], np.float32)
    else:
        shape: list[Dim] = list(x.type.shape)
        for axis, size in zip(op.axes, op.sizes, strict=True):
            shape[axis] = size
        sizes = emit.shape_tensor(shape)
    if op.roi is not None:
        ends = dict(zip(op.axes, op.roi, strict=True))
        pairs = [ends.get(axis, (0.0, 1.0)) for axis in range(rank)]
        roi = emit.constant([*(start for start, _ in pairs), *(end for _, end in pairs)], np.float32)
    cubic, crops = op.mode == "cubic", op.coordinates == "tf_crop_and_resize"
    found: Tensor = emit(
        "Resize",
        x,
        roi,
        scales,
        sizes,
        mode=op.mode,
        coordinate_transformation_mode=op.coordinates,
        nearest_mode=op.nearest_mode if op.mode == "nearest" else None,
        cubic_coeff_a=op.cubic_coeff_a if cubic else None,
        exclude_outside=1 if op.exclude_outside else None,
        antialias=1 if op.antialias else None,
        extrapolation_value=op.extrapolation_value if crops else None,
        type=emit.outputs[0].type.with_dtype(x.type.dtype),
    )
    return found


def _computed(op: ops.Interpolate, emit: Emitter, x: Tensor) -> Tensor:
    """With indices and weights, one axis after the other: computed now, or where a size is not known, in the graph."""
    y, dtype = x, x.type.dtype
    if op.mode != "nearest" and dtype not in (DType.FLOAT32, DType.FLOAT64):
        y = cast(emit, y, DType.FLOAT32)
    beyond: list[Tensor] = []
    for place, (axis, target) in enumerate(zip(op.axes, op.sizes, strict=True)):
        size = y.type.shape[axis]
        if isinstance(size, int) and isinstance(target, int):
            missing = emit.constant(outside(op, place, size, target))
            y = _along(op, emit, y, place, (size, target))
        else:
            y, missing = sampled_at_run_time(op, emit, y, place)
        if op.coordinates == "tf_crop_and_resize":
            column = emit.ints(*(-1 if each == axis else 1 for each in range(x.type.rank)))
            beyond.append(emit("Reshape", missing, column))
    for missing in beyond:
        y = emit("Where", missing, emit.constant(op.extrapolation_value, y.type.dtype), y, type=y.type)
    return cast(emit, y, dtype)


def _along(op: ops.Interpolate, emit: Emitter, x: Tensor, place: int, sizes: tuple[int, int]) -> Tensor:
    size, target = sizes
    axis, rank = op.axes[place], x.type.rank
    kind = x.type.with_shape((*x.type.shape[:axis], target, *x.type.shape[axis + 1 :]))
    if op.mode == "nearest":
        gathered: Tensor = emit(
            "Gather", x, emit.constant(nearest_element(op, place, size, target)), axis=axis, type=kind
        )
        return gathered
    matrix = weights(op, place, size, target)
    if size == target and np.array_equal(matrix, np.eye(size)):
        return x
    if axis == rank - 1:
        last: Tensor = emit("MatMul", x, emit.constant(matrix.T, x.type.dtype), type=kind)
        return last
    if axis == rank - 2:
        rows: Tensor = emit("MatMul", emit.constant(matrix, x.type.dtype), x, type=kind)
        return rows
    order = [*(each for each in range(rank) if each != axis), axis]
    turned = emit.transposed(x, order)
    made = emit(
        "MatMul",
        turned,
        emit.constant(matrix.T, x.type.dtype),
        type=turned.type.with_shape((*turned.type.shape[:-1], target)),
    )
    back: Tensor = emit("Transpose", made, perm=[order.index(each) for each in range(rank)], type=kind)
    return back
