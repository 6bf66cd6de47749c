"""DType to and from ONNX's TensorProto.DataType, and types as ValueInfoProto."""

from __future__ import annotations

from onnx import TensorProto, ValueInfoProto, helper

from dagir.ir.types import DType, TensorType

# of ONNX's data types, those that the oldest onnx that dagir takes has no names for
FLOAT4E2M1, FLOAT8E8M0, UINT2, INT2 = 23, 24, 25, 26

TO_ONNX: dict[DType, int] = {
    DType.FLOAT16: TensorProto.FLOAT16,
    DType.BFLOAT16: TensorProto.BFLOAT16,
    DType.FLOAT32: TensorProto.FLOAT,
    DType.FLOAT64: TensorProto.DOUBLE,
    DType.INT8: TensorProto.INT8,
    DType.INT16: TensorProto.INT16,
    DType.INT32: TensorProto.INT32,
    DType.INT64: TensorProto.INT64,
    DType.UINT8: TensorProto.UINT8,
    DType.UINT16: TensorProto.UINT16,
    DType.UINT32: TensorProto.UINT32,
    DType.UINT64: TensorProto.UINT64,
    DType.BOOL: TensorProto.BOOL,
    DType.STRING: TensorProto.STRING,
    DType.FLOAT8_E4M3FN: TensorProto.FLOAT8E4M3FN,
    DType.FLOAT8_E4M3FNUZ: TensorProto.FLOAT8E4M3FNUZ,
    DType.FLOAT8_E5M2: TensorProto.FLOAT8E5M2,
    DType.FLOAT8_E5M2FNUZ: TensorProto.FLOAT8E5M2FNUZ,
    DType.FLOAT8_E8M0FNU: FLOAT8E8M0,
    DType.FLOAT4_E2M1FN: FLOAT4E2M1,
    DType.INT4: TensorProto.INT4,
    DType.UINT4: TensorProto.UINT4,
    DType.INT2: INT2,
    DType.UINT2: UINT2,
}
FROM_ONNX: dict[int, DType] = {code: dtype for dtype, code in TO_ONNX.items()}


def value_info(name: str, type: TensorType) -> ValueInfoProto:
    """A name with its type, symbolic sizes as text."""
    shape = [size if isinstance(size, int) else str(size) for size in type.shape]
    return helper.make_tensor_value_info(name, TO_ONNX[type.dtype], shape)
