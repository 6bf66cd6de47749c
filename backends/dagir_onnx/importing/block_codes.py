"""Weights of com.microsoft in codes of 2, 4 and 8 bits, with a scale for each block: MatMulNBits, GatherBlockQuantized.

The codes are unpacked when the file is read, and stay codes: DequantizeLinear tells what they stand for.
"""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.graph import Value, apply
from dagir.ir.types import Array, DType, normalize_axis
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import MICROSOFT, rule
from dagir_onnx.importing.tensors import constant

_CODES = {2: DType.UINT8, 4: DType.UINT4, 8: DType.UINT8}


def _unpacked(packed: Array, bits: int) -> Array:
    """uint8[*s, n] -> uint8[*s, n * 8 // bits], the low bits first."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    parts = (packed[..., None] >> shifts) & np.uint8(2**bits - 1)
    return parts.reshape(*packed.shape[:-1], -1)


def _stored(call: NodeCall, place: int, what: str) -> Array:
    found = call.array(place)
    if found is None:
        raise call.refused(f"its {what} are computed when the model runs, and must be stored")
    return found


@rule("MatMulNBits", domain=MICROSOFT)
def _matmul_n_bits(call: NodeCall) -> Value:
    """a @ w.T, w: [n, k] in blocks along k."""
    bits, block = call.attribute("bits", 4), call.attribute("block_size")
    rows, inner = call.attribute("N"), call.attribute("K")
    if bits not in _CODES or call.attribute("weight_prepacked", 0):
        raise call.refused(f"its weights have {bits} bits, or are packed for one kind of kernel")
    if call.tensor(4) is not None and call.input(4).type.shape != (0,):
        raise call.refused("its g_idx says the block of each row", "export the model without it")
    blocks = -(-inner // block)
    codes = _unpacked(_stored(call, 1, "codes").reshape(rows, blocks, -1), bits).reshape(rows, -1)[:, :inner]
    scales = _stored(call, 2, "scales").reshape(rows, blocks)
    zeros = _zeros(call, 3, bits, (rows, blocks))
    w = _numbers(codes.T, scales.T, zeros.T, bits, block, 0)
    found = ops.matmul(call.input(0), w)
    bias = call.weight(5)
    return found if bias is None else ops.add(found, bias)


def _zeros(call: NodeCall, place: int, bits: int, shape: tuple[int, ...]) -> Array:
    """The zero points: in codes, packed along the last axis or not, or floats; in the middle by default."""
    if call.tensor(place) is None:
        return np.full(shape, 2 ** (bits - 1), np.uint8)
    given = _stored(call, place, "zero points")
    if given.dtype != np.uint8:
        return given.reshape(shape)
    return _unpacked(given.reshape(*shape[:-1], -1), bits)[..., : shape[-1]]


def _numbers(codes: Array, scales: Array, zeros: Array, bits: int, block: int, axis: int) -> Value:
    """What codes stand for. Zero points that are floats are subtracted from the numbers of the codes."""
    kind = _CODES[bits]
    scale = constant(np.ascontiguousarray(scales))
    code = constant(np.ascontiguousarray(codes).astype(kind.numpy))
    op = ops.DequantizeLinear(axis, block)
    if zeros.dtype == np.uint8:
        return apply(op, code, scale, constant(np.ascontiguousarray(zeros).astype(kind.numpy)))
    shift = np.repeat(zeros.astype(np.float64) * scales, block, axis)
    shift = np.take(shift, range(codes.shape[axis]), axis).astype(scales.dtype)
    return ops.subtract(apply(op, code, scale), constant(shift))


@rule("GatherBlockQuantized", domain=MICROSOFT)
def _gather_block_quantized(call: NodeCall) -> Value:
    """Rows of codes and of their scales, and then the numbers: a table of words is not decoded as a whole.

    Bytes of several codes are taken as they are, and unpacked then. onnxruntime gathers no codes of 4 bits.
    """
    data, ids, bits = call.input(0), call.input(1), call.attribute("bits", 4)
    if data.dtype not in (DType.UINT8, DType.UINT4, DType.INT4) or bits not in _CODES:
        raise call.refused(f"its codes are {data.dtype}, of {bits} bits")
    packed = data.dtype is DType.UINT8
    axis = normalize_axis(call.attribute("quantize_axis", 1), data.ndim)
    where = normalize_axis(call.attribute("gather_axis", 0), data.ndim)
    if axis == where or (packed and axis != data.ndim - 1):
        raise call.refused(f"it quantizes along axis {axis} and gathers along axis {where} of {data.type}")
    kind = DType.INT8 if data.dtype is DType.INT4 else DType.UINT8
    scales = _stored(call, 2, "scales")
    if call.tensor(3) is not None:
        given = _stored(call, 3, "zero points")
        zeros = _unpacked(given, bits)[..., : scales.shape[-1]] if packed else given
    else:
        zeros = np.full(scales.shape, 2 ** (bits - 1) if packed else 0)
    codes = data if packed else constant(_stored(call, 0, "codes").astype(kind.numpy))
    taken = [ops.take(each, ids, where) for each in (codes, constant(scales), constant(zeros.astype(kind.numpy)))]
    if packed:
        taken[0] = _unpacked_when_run(taken[0], bits)
    moved = axis if axis < where else axis + ids.ndim - 1
    return apply(ops.DequantizeLinear(moved, call.attribute("block_size", 128)), *taken)


def _unpacked_when_run(packed: Value, bits: int) -> Value:
    if bits == 8:
        return packed
    low = constant(np.asarray(2**bits - 1, np.uint8))
    parts = [
        ops.bitwise_and(ops.bitwise_right_shift(packed, constant(np.asarray(shift, np.uint8))), low)
        for shift in range(0, 8, bits)
    ]
    *outer, size = packed.type.shape
    return ops.reshape(ops.stack(parts, -1), (*outer, size * (8 // bits)))
