"""Elements of less than a byte: NumPy gives each a byte, ONNX packs several into one, the first lowest."""

from __future__ import annotations

import numpy as np

from dagir.ir.types import Array, DType

_BITS = {DType.INT4: 4, DType.UINT4: 4, DType.FLOAT4_E2M1FN: 4, DType.INT2: 2, DType.UINT2: 2}


def bits_of(dtype: DType) -> int:
    """The bits of an element as ONNX stores it."""
    return _BITS.get(dtype, 8 * dtype.numpy.itemsize)


def packed(array: Array) -> Array:
    """uint8[ceil(elements * bits / 8)]; an array of whole bytes as it is."""
    dtype = DType.of(array.dtype)
    if dtype not in _BITS:
        return array
    bits = _BITS[dtype]
    codes = np.ascontiguousarray(array).reshape(-1).view(np.uint8) & np.uint8((1 << bits) - 1)
    per_byte = 8 // bits
    rows = np.pad(codes, (0, -codes.size % per_byte)).reshape(-1, per_byte)
    return np.asarray((rows << (bits * np.arange(per_byte, dtype=np.uint8))).sum(axis=1, dtype=np.uint8))


def unpacked(raw: Array, dtype: DType, shape: tuple[int, ...]) -> Array:
    """The elements of `packed` bytes, a byte for each."""
    bits, count = _BITS[dtype], int(np.prod(shape, dtype=np.int64))
    shifts = bits * np.arange(8 // bits, dtype=np.uint8)
    codes = ((raw[:, None] >> shifts) & np.uint8((1 << bits) - 1)).reshape(-1)[:count]
    if dtype in (DType.INT4, DType.INT2):
        top = np.uint8(1 << (bits - 1))
        signed = ((codes ^ top) - top).astype(np.uint8).view(np.int8)
        return signed.astype(dtype.numpy).reshape(shape)
    return codes.view(dtype.numpy).reshape(shape)


def lent(array: Array) -> Array:
    """The bytes in the logical shape of the array, packed at the front, as onnxruntime takes them from NumPy."""
    if DType.of(array.dtype) not in _BITS:
        return np.ascontiguousarray(array).reshape(array.shape).view(np.uint8)
    front = packed(array)
    found = np.zeros(array.size, np.uint8)
    found[: front.size] = front
    return found.reshape(array.shape)
