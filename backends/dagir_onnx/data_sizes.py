"""Ops whose result has a size that the data decide."""

from __future__ import annotations

from typing import Any

from dagir import ops
from dagir.ir.types import DType, TensorType
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.rules import rules

_COUNTED = (DType.BOOL, DType.FLOAT32, DType.INT32, DType.INT64, DType.UINT8)
_RANGES = (DType.FLOAT32, DType.FLOAT64, DType.INT32, DType.INT64)
_COMPARED = (DType.FLOAT32, DType.FLOAT64, DType.INT8, DType.INT64)


def _as(emit: Emitter, x: Tensor, dtype: DType) -> Tensor:
    return x if x.type.dtype is dtype else emit("Cast", x, to=TO_ONNX[dtype], type=x.type.with_dtype(dtype))


def _kernel(dtype: DType, known: tuple[DType, ...]) -> DType:
    """The dtype that onnxruntime has a kernel for, and that holds all numbers of another one."""
    if dtype in known:
        return dtype
    return DType.FLOAT32 if dtype.is_float else DType.INT64


@rules.rule(ops.NonZero)
def non_zero(op: ops.NonZero, emit: Emitter, x: Tensor) -> Tensor:
    found: Tensor = emit("NonZero", x if x.type.dtype in _COUNTED else _as(emit, x, DType.BOOL))
    return found


@rules.rule(ops.Range)
def range_(op: ops.Range, emit: Emitter, start: Tensor, limit: Tensor, step: Tensor) -> Tensor:
    """A range of integers from 0, moved to its start: onnxruntime makes a Slice of a Gather of a Range, which reads the
    limit -1 of a range downwards as the last place.
    """
    dtype = start.type.dtype
    bounds = [_as(emit, bound, _kernel(dtype, _RANGES)) for bound in (start, limit, step)]
    kind = TensorType(bounds[0].type.dtype, op.size)
    if dtype.is_float:
        return _as(emit, emit("Range", *bounds, type=kind), dtype)
    first, last, stride = bounds
    places = emit("Range", emit.constant(0, kind.dtype), emit("Sub", last, first), stride, type=kind)
    return _as(emit, emit("Add", places, first, type=kind), dtype)


@rules.rule(ops.Unique)
def unique(op: ops.Unique, emit: Emitter, x: Tensor) -> tuple[Tensor, ...]:
    wide = _as(emit, x, _kernel(x.type.dtype, _COMPARED))
    values, *rest = emit("Unique", wide, outputs=4, axis=op.axis, sorted=int(op.sorted))
    return (_as(emit, values, x.type.dtype), *rest)


@rules.rule(ops.NonMaxSuppression)
def non_max_suppression(
    op: ops.NonMaxSuppression,
    emit: Emitter,
    boxes: Tensor,
    scores: Tensor,
    most: Tensor,
    overlap: Tensor,
    least: Tensor | None = None,
) -> Tensor:
    floats: list[Any] = [None if x is None else _as(emit, x, DType.FLOAT32) for x in (boxes, scores, overlap, least)]
    given = (*floats[:2], most, *floats[2:])
    found: Tensor = emit("NonMaxSuppression", *given, center_point_box=int(op.center_point_box))
    return found


@rules.rule(ops.KnowSizes)
def know_sizes(op: ops.KnowSizes, emit: Emitter, x: Tensor, *witnesses: Tensor) -> Tensor:
    return x


@rules.rule(ops.EqualSizes)
def equal_sizes(op: ops.EqualSizes, emit: Emitter, x: Tensor) -> Tensor:
    """By a Reshape of one element to 1 + |left - right|, which fails unless they are equal: it is 1, as a factor."""
    kind = TensorType(DType.INT64, (1,))
    sizes = emit("Shape", x, type=TensorType(DType.INT64, (x.type.rank,)))
    for left, right in zip(op.left, op.right, strict=True):
        apart = emit("Abs", emit("Sub", emit.size(left), emit.size(right), type=kind), type=kind)
        one = emit("Reshape", emit.ints(1), emit("Add", apart, emit.ints(1), type=kind), type=kind)
        sizes = emit("Mul", sizes, one, type=sizes.type)
    checked: Tensor = emit("Reshape", x, sizes, allowzero=1)
    return checked
