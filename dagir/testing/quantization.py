"""Strategies for quantization and for integer products.

Quotients are multiples of a quarter, exact in every float, so that no rounding decides between two codes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from dagir import ops
from dagir.ir.types import Array, DType
from dagir.testing.cases import OpCase, arrays, shapes, strategy_for
from dagir.testing.conv import paddings, windows

_CODES = ("int8", "uint8", "int16", "uint16")
_BYTES = ("int8", "uint8")


@st.composite
def powers(draw: st.DrawFn, shape: tuple[int, ...]) -> Array:
    """Scales that are powers of two."""
    return np.asarray(np.exp2(draw(arrays(shape, "int32", -4, 4))), np.float32)


@st.composite
def codes(draw: st.DrawFn, shape: tuple[int, ...], dtype: str) -> Array:
    """Codes over the whole range of a dtype."""
    low, high = DType(dtype).bounds
    return draw(arrays(shape, dtype, low, high))


@st.composite
def _granularity(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[int | None, int, tuple[int, ...]]:
    """Axis, block size, and the shape of the scales."""
    kind = draw(st.sampled_from(["tensor", "axis", "blocks"])) if shape else "tensor"
    if kind == "tensor":
        return None, 0, ()
    axis = draw(st.integers(0, len(shape) - 1))
    if kind == "axis":
        return axis, 0, (shape[axis],)
    block = draw(st.integers(1, shape[axis] + 1))
    return axis, block, tuple(-(-n // block) if each == axis else n for each, n in enumerate(shape))


@strategy_for(ops.QuantizeLinear)
@st.composite
def quantize_linear(draw: st.DrawFn) -> OpCase:
    """Per tensor, per axis and in blocks; ties, and numbers beyond the range of the codes."""
    shape = draw(shapes(0, 4))
    axis, block, scales = draw(_granularity(shape))
    dtype = draw(st.sampled_from(_CODES))
    scale = draw(powers(scales))
    whole = draw(st.sampled_from([20, 2000, 300000]))
    x = draw(arrays(shape, "int32", -whole, whole)).astype(np.float32) / 4 * scale.max(initial=2.0**-4)
    zero = draw(codes(scales, dtype)) if draw(st.booleans()) else None
    return OpCase(ops.QuantizeLinear(axis, block, DType(dtype)), (x, scale, zero))


@strategy_for(ops.DequantizeLinear)
@st.composite
def dequantize_linear(draw: st.DrawFn) -> OpCase:
    """Per tensor, per axis and in blocks, with and without a zero point."""
    shape = draw(shapes(0, 4))
    axis, block, scales = draw(_granularity(shape))
    dtype = draw(st.sampled_from([*_CODES, "int32"]))
    x = draw(codes(shape, dtype)) if dtype != "int32" else draw(arrays(shape, dtype, -9999, 9999))
    zero = draw(codes(scales, dtype)) if dtype != "int32" and draw(st.booleans()) else None
    return OpCase(ops.DequantizeLinear(axis, block), (x, draw(powers(scales)), zero))


@strategy_for(ops.DynamicQuantizeLinear)
@st.composite
def dynamic_quantize_linear(draw: st.DrawFn) -> OpCase:
    """A range of 255 steps of a power of two, so that the scale is exact; or zeros alone."""
    x = draw(arrays(draw(shapes(1, 4)), "int32", 0, 255 * 4)).astype(np.float32) / 4
    x.reshape(-1)[:1] = 0
    x.reshape(-1)[-1:] = 255
    low = draw(st.integers(0, 255))
    factor = draw(st.sampled_from([0.0, 0.5, 1.0, 4.0]))
    return OpCase(ops.DynamicQuantizeLinear(), ((x - low) * np.float32(factor) if x.size > 1 else x,))


@st.composite
def _factors(draw: st.DrawFn, dtype: str, size: int) -> tuple[Array, Array]:
    """A scale and a zero point, of a tensor or of each of `size` channels."""
    shape = (size,) if draw(st.booleans()) else ()
    return draw(powers(shape)), draw(codes(shape, dtype))


def _without_saturation(weights: Array) -> Array:
    """Signed codes of up to 64: onnxruntime adds two products with bytes in 16 bits on processors without VNNI."""
    return np.clip(weights, -64, 64) if weights.dtype.kind == "i" else weights


@st.composite
def _matrices(draw: st.DrawFn) -> tuple[Array, Array]:
    batch, m, k, n = draw(shapes(0, 2)), draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(st.integers(1, 4))
    a = draw(codes((*batch, m, k), draw(st.sampled_from(_BYTES))))
    b = draw(codes((*batch[len(batch) - draw(st.integers(0, len(batch))) :], k, n), draw(st.sampled_from(_BYTES))))
    return a, _without_saturation(b)


@strategy_for(ops.MatMulInteger)
@st.composite
def matmul_integer(draw: st.DrawFn) -> OpCase:
    """Signed and unsigned codes; zero points of the tensor, of rows and of columns."""
    a, b = draw(_matrices())
    a_zero = draw(_factors(str(a.dtype), a.shape[-2]))[1] if draw(st.booleans()) else None
    b_zero = draw(_factors(str(b.dtype), b.shape[-1]))[1] if draw(st.booleans()) else None
    return OpCase(ops.MatMulInteger(), (a, b, a_zero, b_zero))


@strategy_for(ops.QLinearMatMul)
@st.composite
def qlinear_matmul(draw: st.DrawFn) -> OpCase:
    """Scales that are powers of two; results within the range of the codes, and beyond it."""
    a, b = draw(_matrices())
    target = draw(st.sampled_from(_BYTES))
    y_scale = np.float32(2.0 ** draw(st.integers(-2, 12)))
    a_factors, b_factors = draw(_factors(str(a.dtype), a.shape[-2])), draw(_factors(str(b.dtype), b.shape[-1]))
    y_zero = draw(codes((), target))
    return OpCase(ops.QLinearMatMul(), (a, *a_factors, b, *b_factors, np.asarray(y_scale), y_zero))


@st.composite
def _convolution(draw: st.DrawFn, kind: type[Any]) -> tuple[Any, Array, Array]:
    rank = draw(st.integers(1, 2))
    kernel, strides, dilations = draw(windows(rank))
    groups = draw(st.sampled_from([1, 1, 2]))
    per_group, filters = draw(st.integers(1, 3)), groups * draw(st.integers(1, 2))
    layout = draw(st.sampled_from(["channels_last", "channels_first"]))
    op = kind(strides, draw(paddings(rank)), dilations, groups, layout)
    sizes = tuple(extent + draw(st.integers(0, 3)) for extent in op.extents(kernel))
    shape = (2, *sizes, per_group * groups) if layout == "channels_last" else (2, per_group * groups, *sizes)
    x = draw(codes(shape, draw(st.sampled_from(_BYTES))))
    return op, x, _without_saturation(draw(codes((*kernel, per_group, filters), draw(st.sampled_from(_BYTES)))))


@strategy_for(ops.ConvInteger)
@st.composite
def conv_integer(draw: st.DrawFn) -> OpCase:
    """Signed and unsigned codes; padding by zeros, which are the zero point."""
    op, x, w = draw(_convolution(ops.ConvInteger))
    x_zero = draw(codes((), str(x.dtype))) if draw(st.booleans()) else None
    w_zero = draw(_factors(str(w.dtype), w.shape[-1]))[1] if draw(st.booleans()) else None
    return OpCase(op, (x, w, x_zero, w_zero), frozenset({1}))


@strategy_for(ops.QLinearConv)
@st.composite
def qlinear_conv(draw: st.DrawFn) -> OpCase:
    """Scales that are powers of two, one for the kernel or one for each filter."""
    op, x, w = draw(_convolution(ops.QLinearConv))
    y_scale = np.asarray(2.0 ** draw(st.integers(-2, 12)), np.float32)
    w_scale, w_zero = draw(_factors(str(w.dtype), w.shape[-1]))
    bias = draw(arrays(w.shape[-1:], "int32", -999, 999)) if draw(st.booleans()) else None
    y_zero = draw(codes((), draw(st.sampled_from(_BYTES))))
    given = (x, draw(powers(())), draw(codes((), str(x.dtype))), w, w_scale, w_zero, y_scale, y_zero, bias)
    return OpCase(op, given, frozenset({3}))
