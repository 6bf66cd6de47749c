"""Reductions over axes."""

from __future__ import annotations

from dagir import ops
from dagir.ir.types import DType, normalize_axes
from dagir.ops.reduce import Reduce
from dagir_onnx import integers
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.rules import rules

_NARROW = (DType.INT8, DType.INT16, DType.UINT8, DType.UINT16)  # types that ONNX does not allow for every reduction
_OP_TYPES = {
    ops.ReduceMax: "ReduceMax",
    ops.ReduceMin: "ReduceMin",
    ops.ReduceLogSumExp: "ReduceLogSumExp",
    ops.ReduceAll: "ReduceMin",
}


def _reduce(op_type: str, op: Reduce, emit: Emitter, x: Tensor) -> Tensor:
    if not op.axes:  # an empty list would mean all axes
        return emit("Identity", x)
    return emit(op_type, x, emit.ints(*op.axes), keepdims=int(op.keepdims), type=emit.outputs[0].type)


def _as_reducible(op_type: str, op: Reduce, emit: Emitter, x: Tensor) -> Tensor:
    """The tensor in a type that ONNX and onnxruntime reduce: int32 or int64 for other integers."""
    dtype = x.type.dtype
    wide = DType.INT32 if dtype in _NARROW or dtype is DType.BOOL else DType.INT64 if dtype is DType.UINT32 else dtype
    if wide is dtype:
        return _reduce(op_type, op, emit, x)
    x = emit("Cast", x, to=TO_ONNX[wide], type=x.type.with_dtype(wide))
    return emit("Cast", _reduce(op_type, op, emit, x), to=TO_ONNX[dtype])


@rules.rule(ops.ReduceMean)
def mean(op: ops.ReduceMean, emit: Emitter, x: Tensor) -> Tensor:
    """Over all axes but the first two, a global pool: onnxruntime computes it in the layout of its convolutions."""
    spatial = tuple(range(2, x.type.rank))
    if op.axes != spatial or x.type.rank not in (4, 5) or x.type.dtype is not DType.FLOAT32:
        return _as_reducible("ReduceMean", op, emit, x)
    kept = x.type.with_shape((*x.type.shape[:2], *[1] * len(spatial)))
    pooled: Tensor = emit("GlobalAveragePool", x, type=kept)
    return pooled if op.keepdims else emit("Squeeze", pooled, emit.ints(*spatial))


@rules.rule(ops.ReduceSum)
def total(op: ops.ReduceSum, emit: Emitter, x: Tensor) -> Tensor:
    """For integers in int64: onnxruntime adds doubles, and saturates in place of wrapping."""
    dtype = x.type.dtype
    if dtype.is_float or dtype is DType.UINT64 or not op.axes:
        return _reduce("ReduceSum", op, emit, x)
    wide = integers.cast(emit, x, DType.INT64)
    if dtype is DType.INT64:
        return integers.summed(emit, wide, lambda part: _reduce("ReduceSum", op, emit, part))
    summed = _reduce("ReduceSum", op, emit, wide)
    found: Tensor = emit("Cast", summed, to=TO_ONNX[dtype])
    return found


@rules.rule(ops.ReduceProd)
def product(op: ops.ReduceProd, emit: Emitter, x: Tensor) -> Tensor:
    """For integers a Scan over each axis: ReduceProd multiplies doubles."""
    dtype = x.type.dtype
    if dtype.is_float or not op.axes:
        return _reduce("ReduceProd", op, emit, x)
    wide = DType.INT32 if dtype in _NARROW else DType.INT64
    found = integers.cast(emit, x, wide)
    for axis in reversed(normalize_axes(op.axes, x.type.rank)):
        found = integers.multiplied(emit, found, axis)
    found = emit("Unsqueeze", found, emit.ints(*op.axes), type=emit.outputs[0].type) if op.keepdims else found
    return integers.cast(emit, Tensor(found.name, found.type.with_dtype(wide)), dtype)


@rules.rule(ops.ReduceAny)
def any_true(op: ops.ReduceAny, emit: Emitter, x: Tensor) -> Tensor:
    """By counting the true ones: ReduceMax of no elements would be true."""
    return _as_reducible("ReduceSum", op, emit, x)


for _op, _op_type in _OP_TYPES.items():
    rules.rule(_op)(lambda op, emit, x, op_type=_op_type: _as_reducible(op_type, op, emit, x))


@rules.rule(ops.Variance)
def variance(op: ops.Variance, emit: Emitter, x: Tensor) -> Tensor:
    """The mean of squared distances: mean(x**2) - mean(x)**2 would cancel."""
    if not op.axes:
        return emit("Sub", x, x)
    distance = emit("Sub", x, emit("ReduceMean", x, emit.ints(*op.axes), keepdims=1))
    return _reduce("ReduceMean", ops.ReduceMean(op.axes, op.keepdims), emit, emit("Mul", distance, distance))


for _place_op, _op_type in {ops.ArgMax: "ArgMax", ops.ArgMin: "ArgMin"}.items():
    rules.rule(_place_op)(lambda op, emit, x, op_type=_op_type: _place(op_type, op, emit, x))


def _place(op_type: str, op: ops.ArgMax, emit: Emitter, x: Tensor) -> Tensor:
    if x.type.dtype in _NARROW:
        x = emit("Cast", x, to=TO_ONNX[DType.INT32], type=x.type.with_dtype(DType.INT32))
    last = 1 if op.last else None
    kind = emit.outputs[0].type.with_dtype(DType.INT64)
    place: Tensor = emit(op_type, x, axis=op.axis, keepdims=int(op.keepdims), select_last_index=last, type=kind)
    return place if op.dtype is DType.INT64 else emit("Cast", place, to=TO_ONNX[op.dtype])
