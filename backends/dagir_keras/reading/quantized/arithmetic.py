"""What quantized layers of Keras compute with their weights, in the operations of dagir."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.graph import Parameter, Value
from dagir.ir.types import DType

_LARGEST = 448.0  # of float8_e4m3fn
_MIDDLE = 128


def unpacked(packed: Value, size: int, axis: int, signed: bool) -> Value:
    """Codes of 4 bits, two in each byte along an axis, the first in the low bits; of an odd size, one bit is unused.

    packed: int8 or uint8 [*s] -> [*s] with `size` elements on the axis, of the same dtype.
    """
    axis %= packed.type.rank
    low, high = ops.bitwise_and(packed, 15), ops.bitwise_and(ops.right_shift(packed, 4), 15)
    pairs = ops.stack([low, high], axis=axis + 1)
    shape = [2 * n if place == axis else n for place, n in enumerate(packed.type.shape)]
    whole = ops.reshape(pairs, tuple(shape))
    whole = whole[tuple(slice(size if place == axis else None) for place in range(len(shape)))]
    return ops.bitwise_xor(whole, 8) - 8 if signed else whole


def dequantized(codes: Value, scale: Value, zero: Value, block: int) -> Value:
    """(code - zero) * scale, each for a block of rows of a matrix. codes: int8[i, o], scale, zero: [blocks, o]."""
    size = codes.type.shape[0]
    assert isinstance(size, int)
    numbers = ops.dequantize_linear(_turned(codes), _turned(scale), _turned(zero), axis=1, block_size=min(block, size))
    return _turned(numbers)


def _turned(value: Value) -> Value:
    """The last two axes exchanged.

    What dequantizes blocks stays in a file, so that the file holds codes. A transpose between it and a product keeps
    the product in float: of a DequantizeLinear right before a MatMul, onnxruntime makes MatMulNBits, which quantizes
    the other side to 8 bits too. For the same reason codes with one scale are cast, not dequantized.
    """
    return ops.swapaxes(value, -1, -2)


def by_groups(codes: Value, scale: Value, zero: Value, groups: Value) -> Value:
    """(code - zero) * scale, where `groups` says for each place on the last axis which scale it has.

    codes: uint8[o, i], scale: f[o, g], zero: uint8[o, g], groups: int[i] -> f[o, i].
    """
    scales, zeros = ops.take(scale, groups, axis=-1), ops.take(zero, groups, axis=-1)
    return (ops.cast(codes, scale.dtype) - ops.cast(zeros, scale.dtype)) * scales


def integer_product(codes: Value, kernel: Value) -> Value:
    """The matrix product of int8 codes. codes: int8[..., m, k], kernel: int8[k, n] -> int32[..., m, n].

    The kernel is given as uint8 with a zero point of 128: onnxruntime's product of uint8 and int8 saturates in 16 bits
    on processors without VNNI, that of uint8 and uint8 is exact on all.
    """
    raised = ops.cast(ops.cast(kernel, DType.INT32) + _MIDDLE, DType.UINT8)
    return ops.matmul_integer(codes, raised, None, np.uint8(_MIDDLE))


def shortened(x: Value, scale: Parameter) -> Value:
    """x rounded to float8_e4m3fn at a scale."""
    factor = ops.cast(scale.value, x.dtype)
    short = ops.cast(ops.clip(x / factor, -_LARGEST, _LARGEST), DType.FLOAT8_E4M3FN)
    return ops.cast(short, x.dtype) * factor
