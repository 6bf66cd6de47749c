"""Sorting, the largest elements, and search in sorted arrays."""

from __future__ import annotations

from dagir import ops
from dagir.ir.types import DType
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.rules import rules

_WIDER = {DType.UINT16: DType.INT32, DType.UINT32: DType.INT64}  # exact, and onnxruntime's TopK takes them


def _widened(emit: Emitter, x: Tensor, dtype: DType) -> Tensor:
    return x if dtype is x.type.dtype else emit("Cast", x, to=TO_ONNX[dtype], type=x.type.with_dtype(dtype))


def _sorted(emit: Emitter, x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """The whole axis in ascending order, and the indices."""
    wide = _widened(emit, x, _WIDER.get(x.type.dtype, x.type.dtype))
    size = emit("Shape", wide, start=axis, end=axis + 1)
    values, places = emit("TopK", wide, size, outputs=2, axis=axis, largest=0)
    return _widened(emit, values, x.type.dtype), places


@rules.rule(ops.Sort)
def sort(op: ops.Sort, emit: Emitter, x: Tensor) -> Tensor:
    return _sorted(emit, x, op.axis)[0]


@rules.rule(ops.ArgSort)
def arg_sort(op: ops.ArgSort, emit: Emitter, x: Tensor) -> Tensor:
    return emit("Cast", _sorted(emit, x, op.axis)[1], to=TO_ONNX[DType.INT32])


@rules.rule(ops.TopK)
def top_k(op: ops.TopK, emit: Emitter, x: Tensor) -> tuple[Tensor, Tensor]:
    wide = _widened(emit, x, _WIDER.get(x.type.dtype, x.type.dtype))
    values, places = emit("TopK", wide, emit.ints(op.k), outputs=2, axis=op.axis, largest=None if op.largest else 0)
    if op.dtype is not DType.INT64:
        places = emit("Cast", places, to=TO_ONNX[op.dtype])
    return _widened(emit, values, x.type.dtype), places


@rules.rule(ops.SearchSorted)
def search_sorted(op: ops.SearchSorted, emit: Emitter, sorted: Tensor, values: Tensor) -> Tensor:
    """By counting the elements before each value: ONNX has no binary search."""
    follows = emit(
        "Greater" if op.side == "left" else "GreaterOrEqual", emit("Unsqueeze", values, emit.ints(-1)), sorted
    )
    return emit("ReduceSum", emit("Cast", follows, to=TO_ONNX[DType.INT32]), emit.ints(-1), keepdims=0)
