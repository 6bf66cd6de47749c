"""Sampling at other places: Resize where onnxruntime has a kernel for the axes, else a Gather, or products."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.errors import UnsupportedOp
from dagir.ir.dims import Dim
from dagir.ir.types import DType
from dagir.ops.sampling import nearest_element, outside, weights
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.integers import cast
from dagir_onnx.rules import rules

_FLOATS = (DType.FLOAT32, DType.FLOAT16)
_RESIZED = (*_FLOATS, DType.INT32, DType.INT8, DType.UINT8)  # onnxruntime has kernels for these
_SYMMETRIC_SINCE = 19


@rules.rule(ops.Interpolate)
def interpolate(op: ops.Interpolate, emit: Emitter, x: Tensor) -> Tensor:
    """onnxruntime 1.32 moves Transposes past a cubic Resize, which it has for one layout: known sizes are products."""
    sizes = [x.type.shape[axis] for axis in op.axes]
    known = all(isinstance(size, int) for size in (*sizes, *op.sizes))
    native = _has_kernel(op, emit, x)
    if native and (not known or op.mode == "nearest" or (op.mode == "linear" and not op.antialias)):
        return _resized(op, emit, x)
    if not known:
        raise UnsupportedOp(
            f"onnxruntime does not resize {x.type.dtype} of rank {x.type.rank} along the axes {op.axes} so",
            remedy="give the input fixed sizes, and the weights are computed before",
        )
    return _computed(op, emit, x)


def _has_kernel(op: ops.Interpolate, emit: Emitter, x: Tensor) -> bool:
    rank, axes, dtype = x.type.rank, op.axes, x.type.dtype
    if op.nearest_mode == "simple" or op.coordinates == "tf_half_pixel_for_nn" or dtype not in _RESIZED:
        return False
    if op.coordinates == "half_pixel_symmetric" and emit.opset < _SYMMETRIC_SINCE:
        return False
    if op.mode == "nearest":
        return True
    inner = all(axis >= rank - 2 for axis in axes) and rank in (2, 3, 4)
    if op.mode == "cubic" or op.antialias:
        return inner and rank in (2, 4) and dtype is DType.FLOAT32
    return dtype is DType.FLOAT32 and (inner or (rank == 5 and min(axes) >= 2)) and not op.exclude_outside


def _resized(op: ops.Interpolate, emit: Emitter, x: Tensor) -> Tensor:
    """Sizes or scales of all axes: given `axes`, onnxruntime 1.32 loses them where it moves a Transpose past the node."""
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
    """With indices and weights that are computed now, one axis after the other."""
    y, dtype = x, x.type.dtype
    beyond = np.zeros((), bool)
    if op.mode != "nearest" and dtype not in (DType.FLOAT32, DType.FLOAT64):
        y = emit("Cast", y, to=TO_ONNX[DType.FLOAT32], type=y.type.with_dtype(DType.FLOAT32))
    for place, (axis, target) in enumerate(zip(op.axes, op.sizes, strict=True)):
        size = x.type.shape[axis]
        assert isinstance(size, int)
        assert isinstance(target, int)
        missing = outside(op, place, size, target)
        beyond = beyond | missing.reshape([-1 if each == axis else 1 for each in range(x.type.rank)])
        y = _along(op, emit, y, place, (size, target))
    if beyond.any():
        filling = emit.constant(op.extrapolation_value, y.type.dtype)
        y = emit("Where", emit.constant(beyond), filling, y, type=y.type)
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
