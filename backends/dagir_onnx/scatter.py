"""Reading and writing at indices that are values."""

from __future__ import annotations

from dagir import ops
from dagir.ir.types import DType
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.rules import rules


@rules.rule(ops.GatherElements)
def gather_elements(op: ops.GatherElements, emit: Emitter, x: Tensor, indices: Tensor) -> Tensor:
    return emit("GatherElements", x, _as_int64(emit, indices), axis=op.axis)


@rules.rule(ops.GatherND)
def gather_nd(op: ops.GatherND, emit: Emitter, x: Tensor, indices: Tensor) -> Tensor:
    return emit("GatherND", x, _as_int64(emit, indices), batch_dims=op.batch_dims)


@rules.rule(ops.ScatterUpdate)
def scatter_update(op: ops.ScatterUpdate, emit: Emitter, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    return emit("ScatterND", x, _as_int64(emit, indices), updates, reduction=op.reduction)


@rules.rule(ops.ScatterElements)
def scatter_elements(op: ops.ScatterElements, emit: Emitter, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    reduction = None if op.reduction == "none" else op.reduction
    return emit("ScatterElements", x, _as_int64(emit, indices), updates, axis=op.axis, reduction=reduction)


def _as_int64(emit: Emitter, indices: Tensor) -> Tensor:
    if indices.type.dtype is DType.INT64:
        return indices
    return emit("Cast", indices, to=TO_ONNX[DType.INT64], type=indices.type.with_dtype(DType.INT64))
