"""Products of codes, in float64, which holds the sums of products of bytes exactly."""

from __future__ import annotations

from typing import Any

from keras import backend
from keras import ops as K

from dagir import ops
from dagir.ir.types import DType
from dagir_keras.conv import conv
from dagir_keras.quantization import within
from dagir_keras.rules import rules

_EXACT = "float64"


@rules.rule(ops.MatMulInteger)
def matmul_integer(op: ops.MatMulInteger, a: Any, b: Any, a_zero: Any = None, b_zero: Any = None) -> Any:
    return K.cast(_sums(a, b, a_zero, b_zero), "int32")


@rules.rule(ops.QLinearMatMul)
def qlinear_matmul(
    op: ops.QLinearMatMul,
    a: Any,
    a_scale: Any,
    a_zero: Any,
    b: Any,
    b_scale: Any,
    b_zero: Any,
    y_scale: Any,
    y_zero: Any,
) -> Any:
    factor = _factor(_column(a_scale, a), b_scale, y_scale)
    return _scaled(_sums(a, b, a_zero, b_zero), factor, y_zero)


def _column(factors: Any, a: Any) -> Any:
    return K.expand_dims(factors, -1) if len(factors.shape) and len(a.shape) > 1 else factors


def _sums(a: Any, b: Any, a_zero: Any, b_zero: Any) -> Any:
    left, right = K.cast(a, _EXACT), K.cast(b, _EXACT)
    if a_zero is not None:
        left = K.subtract(left, K.cast(_column(a_zero, a), _EXACT))
    if b_zero is not None:
        right = K.subtract(right, K.cast(b_zero, _EXACT))
    return K.matmul(left, right)


@rules.rule(ops.ConvInteger)
def conv_integer(op: ops.ConvInteger, x: Any, w: Any, x_zero: Any = None, w_zero: Any = None) -> Any:
    return K.cast(_convolved(op, x, w, x_zero, w_zero), "int32")


def _convolved(op: ops.ConvInteger, x: Any, w: Any, x_zero: Any, w_zero: Any) -> Any:
    moved, kernel = K.cast(x, _EXACT), K.cast(w, _EXACT)
    if x_zero is not None:
        moved = K.subtract(moved, K.cast(x_zero, _EXACT))
    if w_zero is not None:
        kernel = K.subtract(kernel, K.cast(w_zero, _EXACT))
    return conv(op.as_conv(), moved, kernel)


@rules.rule(ops.QLinearConv)
def qlinear_conv(
    op: ops.QLinearConv,
    x: Any,
    x_scale: Any,
    x_zero: Any,
    w: Any,
    w_scale: Any,
    w_zero: Any,
    y_scale: Any,
    y_zero: Any,
    b: Any = None,
) -> Any:
    def along(channels: Any) -> Any:
        last = op.data_format == "channels_last" or not len(channels.shape)
        return channels if last else K.reshape(channels, (-1, *(1,) * op.rank))

    sums = _convolved(op, x, w, x_zero, w_zero)
    if b is not None:
        sums = K.subtract(sums, K.negative(along(K.cast(b, _EXACT))))  # K.add may take it for another axis' bias
    return _scaled(sums, along(_factor(x_scale, w_scale, y_scale)), y_zero)


def _factor(left: Any, right: Any, result: Any) -> Any:
    kind = _EXACT if backend.standardize_dtype(result.dtype) == _EXACT else "float32"
    return K.divide(K.multiply(K.cast(left, kind), K.cast(right, kind)), K.cast(result, kind))


def _scaled(sums: Any, factor: Any, y_zero: Any) -> Any:
    kind = backend.standardize_dtype(factor.dtype)
    dtype = DType.of(backend.standardize_dtype(y_zero.dtype))
    return within(K.multiply(K.cast(sums, kind), factor), K.cast(y_zero, kind), dtype)
