"""Products of codes: exact in float64, whose sums of products of bytes are whole numbers."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.types import Array, DType
from dagir_numpy.conv import conv
from dagir_numpy.quantization import widest, within
from dagir_numpy.rules import rules


@rules.rule(ops.MatMulInteger)
def matmul_integer(
    op: ops.MatMulInteger, a: Array, b: Array, a_zero: Array | None = None, b_zero: Array | None = None
) -> Array:
    return _wrapped(_sums(a, b, a_zero, b_zero))


@rules.rule(ops.QLinearMatMul)
def qlinear_matmul(
    op: ops.QLinearMatMul,
    a: Array,
    a_scale: Array,
    a_zero: Array,
    b: Array,
    b_scale: Array,
    b_zero: Array,
    y_scale: Array,
    y_zero: Array,
) -> Array:
    column = a_scale[:, None] if a_scale.ndim and a.ndim > 1 else a_scale
    return _scaled(_sums(a, b, a_zero, b_zero), widest(column) * widest(b_scale) / widest(y_scale), y_zero)


def _sums(a: Array, b: Array, a_zero: Array | None, b_zero: Array | None) -> Array:
    left, right = a.astype(np.float64), b.astype(np.float64)
    if a_zero is not None:
        left = left - (a_zero[:, None] if a_zero.ndim and a.ndim > 1 else a_zero).astype(np.float64)
    if b_zero is not None:
        right = right - b_zero.astype(np.float64)
    return np.asarray(left @ right)


@rules.rule(ops.ConvInteger)
def conv_integer(
    op: ops.ConvInteger, x: Array, w: Array, x_zero: Array | None = None, w_zero: Array | None = None
) -> Array:
    return _wrapped(_convolved(op, x, w, x_zero, w_zero))


def _convolved(op: ops.ConvInteger, x: Array, w: Array, x_zero: Array | None, w_zero: Array | None) -> Array:
    moved = x.astype(np.float64) - (0 if x_zero is None else x_zero.astype(np.float64))
    kernel = w.astype(np.float64) - (0 if w_zero is None else w_zero.astype(np.float64))
    return np.asarray(conv(op.as_conv(), moved, kernel))


@rules.rule(ops.QLinearConv)
def qlinear_conv(
    op: ops.QLinearConv,
    x: Array,
    x_scale: Array,
    x_zero: Array,
    w: Array,
    w_scale: Array,
    w_zero: Array,
    y_scale: Array,
    y_zero: Array,
    b: Array | None = None,
) -> Array:
    sums = _convolved(op, x, w, x_zero, w_zero)
    last = op.data_format == "channels_last"

    def along(channels: Array) -> Array:
        return channels if last or not channels.ndim else channels.reshape(-1, *(1,) * op.rank)

    if b is not None:
        sums = sums + along(b).astype(np.float64)
    return _scaled(sums, along(widest(x_scale) * widest(w_scale) / widest(y_scale)), y_zero)


def _wrapped(sums: Array) -> Array:
    """Sums in int32, which wraps."""
    return sums.astype(np.int64).astype(np.int32)


def _scaled(sums: Array, factor: Array, y_zero: Array) -> Array:
    return within(np.rint(sums.astype(factor.dtype) * factor), y_zero.astype(np.int64), DType.of(y_zero.dtype))
