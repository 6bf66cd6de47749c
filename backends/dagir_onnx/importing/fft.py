"""Fourier transforms: DFT, STFT. A complex number is the last axis, of size 2.

A transform of a moderate size is one product with a table, from which the numbers come in pairs as ONNX has them; so
one side only, an inverse, zeros at the end and a window are no further operations. Larger ones are the op Dft.
"""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.graph import Value
from dagir.ir.types import Array, normalize_axis
from dagir.ops.fft import resized
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.tensors import constant, ints_of

_LARGEST_TABLE = 2**20


@rule("DFT")
def _dft(call: NodeCall) -> Value:
    x = call.input(0)
    inverse, one_sided = bool(call.attribute("inverse", 0)), bool(call.attribute("onesided", 0))
    given = call.setting("axis")
    axis = (1 if call.version < 20 else -2) if given is None else ints_of(given, "axis")[0]
    axis = normalize_axis(axis, x.ndim)
    if x.type.shape[-1] not in (1, 2) or axis == x.ndim - 1:
        raise call.refused(f"its axis {axis} is not one before the last, which is of size 1 or 2, of {x.type}")
    size = x.type.shape[axis]
    length: Dim = 2 * (size - 1) if inverse and one_sided else size
    if call.tensor(1) is not None:
        (length,) = call.dims(1, "dft_length")
    if not isinstance(length, int) or length < 1:
        raise call.refused(f"it transforms {length} elements, which is known at run time only", "fix the size")
    order = [*(each for each in range(x.ndim) if each != axis)]
    order.insert(x.ndim - 2, axis)
    turned = x if order == list(range(x.ndim)) else ops.transpose(x, order)
    found = _transformed(turned, length, inverse, one_sided)
    return found if turned is x else ops.transpose(found, [order.index(each) for each in range(x.ndim)])


def _transformed(x: Value, length: int, inverse: bool, one_sided: bool) -> Value:
    """x: f[*s, n, 1 or 2]."""
    *outer, size, parts = x.type.shape
    half = length // 2 + 1
    rows, bins = (half if one_sided and inverse else length), (half if one_sided and not inverse else length)
    if rows * bins > _LARGEST_TABLE:
        return _by_op(x, length, inverse, one_sided)
    used = min(size, rows) if isinstance(size, int) else rows
    if used != size:
        x = ops.swapaxes(resized(ops.swapaxes(x, -1, -2), used), -1, -2)
    assert isinstance(parts, int)
    real_only = inverse and one_sided
    table = _halved(length, used, parts) if real_only else _table(length, used, bins, parts, inverse)
    found = ops.matmul(ops.reshape(x, (*outer, used * parts)), constant(table.astype(x.dtype.numpy)))
    return ops.reshape(found, (*outer, bins, 1 if real_only else 2))


def _turns(length: int, rows: int, columns: int) -> tuple[Array, Array]:
    """Cosines and sines of 2 pi j k / length; what is 0 there is 0, not the rounding of pi."""
    angles = 2 * np.pi * np.arange(length) / length
    places = np.outer(np.arange(rows), np.arange(columns)) % length
    cosines, sines = (np.where(np.abs(each) < 1e-15, 0, each)[places] for each in (np.cos(angles), np.sin(angles)))
    return cosines, sines


def _table(length: int, rows: int, columns: int, parts: int, inverse: bool) -> Array:
    """f64[rows * parts, columns * 2]: (re, im) to (re cos + im sin, im cos - re sin), or the inverse of that."""
    cosines, sines = _turns(length, rows, columns)
    if inverse:
        cosines, sines = cosines / length, -sines / length
    found = np.stack([np.stack([cosines, -sines], -1), np.stack([sines, cosines], -1)], 1)
    return found[:, :parts].reshape(rows * parts, columns * 2)


def _halved(length: int, rows: int, parts: int) -> Array:
    """f64[rows * parts, length]: the real numbers of which these are the first half of the transform."""
    cosines, sines = _turns(length, rows, length)
    share = np.full((rows, 1), 2 / length)
    share[0] = 1 / length
    if length % 2 == 0 and rows == length // 2 + 1:
        share[-1] = 1 / length
    found = np.stack([cosines * share, -sines * share], 1)
    return found[:, :parts].reshape(rows * parts, length)


def _by_op(x: Value, length: int, inverse: bool, one_sided: bool) -> Value:
    real = x[..., 0]
    imag = x[..., 1] if x.type.shape[-1] == 2 else ops.zeros_like(real)
    if inverse and one_sided:
        return ops.expand_dims(ops.irfft((real, imag), length), -1)
    real, imag = (resized(part, length) for part in (real, imag))
    if not inverse:
        pair = ops.fft((real, imag))
    else:
        found, other = ops.fft((real, ops.negative(imag)))
        pair = (ops.divide(found, float(length)), ops.divide(other, -float(length)))
    if one_sided:
        pair = (pair[0][..., : length // 2 + 1], pair[1][..., : length // 2 + 1])
    return ops.stack(pair, -1)


@rule("STFT")
def _stft(call: NodeCall) -> Value:
    """A window whose numbers are known is part of the table."""
    signal = call.input(0)
    if signal.ndim == 2:
        signal = ops.expand_dims(signal, -1)
    (step,) = call.ints(1, "frame_step")
    window = call.optional(2)
    length: Dim = signal.type.shape[1] if window is None else window.type.shape[0]
    if call.tensor(3) is not None:
        (length,) = call.dims(3, "frame_length")
    if not isinstance(length, int) or length < 1 or step < 1:
        raise call.refused(f"it transforms frames of {length} elements, each {step} behind the one before")
    batch, _, parts = signal.type.shape
    if not isinstance(parts, int) or parts not in (1, 2):
        raise call.refused(f"its signal is {signal.type}, and its last axis is not of size 1 or 2")
    frames = ops.moveaxis(ops.extract_sequences(ops.swapaxes(signal, 1, 2), length, step), 1, 3)
    one_sided = bool(call.attribute("onesided", 1))
    bins = length // 2 + 1 if one_sided else length
    known = None if window is None else call.array(2)
    if window is not None and (known is None or length * bins > _LARGEST_TABLE):
        frames = ops.multiply(frames, ops.expand_dims(window, -1))
    if length * bins > _LARGEST_TABLE or known is None:
        return _transformed(frames, length, False, one_sided)
    table = _table(length, length, bins, parts, False).reshape(length, -1) * known.astype(np.float64)[:, None]
    flat = ops.reshape(frames, (batch, frames.type.shape[1], length * parts))
    found = ops.matmul(flat, constant(table.reshape(length * parts, -1).astype(signal.dtype.numpy)))
    return ops.reshape(found, (batch, frames.type.shape[1], bins, 2))
