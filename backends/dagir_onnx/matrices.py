"""Triangles of matrices."""

from __future__ import annotations

from dagir import ops
from dagir.ir.types import DType
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.rules import rules

_NARROW = (DType.INT8, DType.INT16, DType.UINT8, DType.UINT16)


@rules.rule(ops.Tril, ops.Triu)
def triangle(op: ops.Tril, emit: Emitter, x: Tensor) -> Tensor:
    """onnxruntime has Trilu for int32 and int64 only: other integers are cast to these."""
    dtype = x.type.dtype
    wide = DType.INT32 if dtype in _NARROW else DType.INT64 if dtype in (DType.UINT32, DType.UINT64) else dtype
    x = emit("Cast", x, to=TO_ONNX[wide]) if wide is not dtype else x
    cut = emit("Trilu", x, emit.constant(op.k, "int64"), upper=int(isinstance(op, ops.Triu)))
    return emit("Cast", cut, to=TO_ONNX[dtype]) if wide is not dtype else cut
