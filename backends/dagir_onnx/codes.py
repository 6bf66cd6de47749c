"""Codes of 8 bits and less: from which opset on ONNX has them, and casts to and from them."""

from __future__ import annotations

from dagir import ops
from dagir.errors import UnsupportedOp
from dagir.ir.types import DType, TensorType
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.targets import SINCE


def refuse_older(emit: Emitter, *dtypes: DType) -> None:
    """Raise UnsupportedOp for a dtype that the opset does not have."""
    for dtype in dtypes:
        if SINCE.get(dtype, 0) > emit.opset:
            raise UnsupportedOp(
                f"ONNX has {dtype} from opset {SINCE[dtype]} on",
                remedy=f"ask for opset={SINCE[dtype]} or a newer one",
            )


def cast(op: ops.Cast, emit: Emitter, x: Tensor) -> Tensor:
    """A Cast to or from codes, through float32 or int32, between which and codes kernels agree."""
    refuse_older(emit, op.dtype, x.type.dtype)
    if x.type.dtype.is_code:
        is_float = "float" in x.type.dtype.value
        wide = _cast(emit, x, DType.FLOAT32 if is_float or op.dtype.is_float else DType.INT32)
        if op.dtype is wide.type.dtype:
            return wide
        return cast(op, emit, wide) if op.dtype.is_code else _narrowed(op, emit, wide)
    if "float" in op.dtype.value:
        wide = x if x.type.dtype is DType.FLOAT32 else _cast(emit, x, DType.FLOAT32)
        return emit(
            "Cast",
            wide,
            to=TO_ONNX[op.dtype],
            saturate=None if op.saturate else 0,
            round_mode=op.round_mode if op.dtype is DType.FLOAT8_E8M0FNU else None,
            type=x.type.with_dtype(op.dtype),
        )
    return _low_bits(op, emit, x)


def _narrowed(op: ops.Cast, emit: Emitter, x: Tensor) -> Tensor:
    from_float = x.type.dtype.is_float and op.dtype.is_integer
    return _cast(emit, x, op.dtype) if not from_float else _cast(emit, _cast(emit, x, DType.INT32), op.dtype)


def _low_bits(op: ops.Cast, emit: Emitter, x: Tensor) -> Tensor:
    """To 4 bits and less: onnxruntime rounds and saturates floats, so these become integers first."""
    whole = x if x.type.dtype is DType.INT32 else _cast(emit, x, DType.INT32)
    return _cast(emit, whole, op.dtype)


def _cast(emit: Emitter, x: Tensor, dtype: DType) -> Tensor:
    found: Tensor = emit("Cast", x, to=TO_ONNX[dtype], type=TensorType(dtype, x.type.shape))
    return found
