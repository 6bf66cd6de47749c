"""Quantization: numbers as codes of a scale and a zero point, number = (code - zero_point) * scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dagir.errors import ArgumentError, DTypeError, ShapeError
from dagir.ir.dims import ceil_div
from dagir.ir.graph import Op, Operand, Types, Value, apply, apply_node
from dagir.ir.operands import as_value
from dagir.ir.rounding import ROUNDED
from dagir.ir.types import DType, DTypeLike, Equations, Inferred, TensorType, normalize_axis
from dagir.ops.operands import require

__all__ = [
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "QuantizeLinear",
    "dequantize_linear",
    "dynamic_quantize_linear",
    "quantize_linear",
]

CODES = frozenset(
    dtype
    for dtype in DType
    if dtype.is_code or dtype in (DType.INT8, DType.UINT8, DType.INT16, DType.UINT16, DType.INT32)
)
"""The dtypes of codes. int32 is for biases, and is dequantized only."""


def is_float_code(dtype: DType) -> bool:
    """Whether a code is a short float, which has no zero point but 0."""
    return dtype.is_code and "float" in dtype.value


def _check_scale(
    equations: Equations, x: TensorType, scale: TensorType, axis: int | None, block_size: int, what: str
) -> None:
    """A scalar or [1], or [n] along the axis, or of x's shape with a number for each block on the axis."""
    if axis is None:
        wanted: tuple[object, ...] = (1,) * min(scale.rank, 1)
    elif not block_size:
        wanted = (x.shape[normalize_axis(axis, x.rank)],)
    else:
        place = normalize_axis(axis, x.rank)
        wanted = tuple(ceil_div(n, block_size) if each == place else n for each, n in enumerate(x.shape))
    pairs = list(zip(scale.shape, wanted, strict=False))
    if scale.rank != len(wanted) or any(equations.equate(left, right) is None for left, right in pairs):  # type: ignore[arg-type]
        raise ShapeError(
            f"the {what} must have shape {list(wanted)}, got {list(scale.shape)}",
            remedy="give a scalar, or axis= and a number for each place on it, or block_size= and one for each block",
        )


@dataclass(frozen=True)
class _Linear(Op):
    """The common part of both directions: along which axis scale and zero point lie, and for how many elements each."""

    operands = ("x", "scale", "zero_point")
    axis: int | None = None
    block_size: int = 0

    def _checked(self, x: TensorType, scale: TensorType, zero_point: TensorType | None, code: DType) -> Inferred:
        equations = Equations()
        name = type(self).__name__
        require("float", scale)
        if code not in CODES or (code is DType.INT32 and isinstance(self, QuantizeLinear)):
            raise DTypeError(
                f"{name} takes no codes of {code}", remedy="use int8, uint8, int16, uint16 or a code dtype"
            )
        if self.block_size < 0 or (self.block_size and self.axis is None):
            raise ArgumentError(f"{name} takes block_size above 0, and an axis with it, got {self.block_size}")
        _check_scale(equations, x, scale, self.axis, self.block_size, "scale")
        if zero_point is not None:
            if zero_point.dtype is not code:
                raise DTypeError(f"the zero point must be {code} as the codes are, got {zero_point.dtype}")
            _check_scale(equations, x, zero_point, self.axis, self.block_size, "zero point")
        return equations.inferred(x)


@dataclass(frozen=True)
class QuantizeLinear(_Linear):
    """x: f[*s], scale: f[], zero_point: q[]? -> q[*s]: round(x / scale) + zero_point, within the codes' range.

    Halves round to even. scale and zero_point: scalars or [1]; [s[axis]] along `axis`; or, with block_size, of x's
    shape with one number for each block on the axis. Codes are integers, or short floats without a zero point: these
    saturate, or overflow as Cast does.  ONNX QuantizeLinear-21.
    """

    rounding = ROUNDED
    dtype: DType = DType.INT8
    saturate: bool = True

    def infer(self, x: TensorType, scale: TensorType, zero_point: TensorType | None = None) -> Inferred:
        """The shape of x, in the dtype of the codes."""
        if not x.dtype.is_float and x.dtype is not DType.INT32:
            raise DTypeError(f"QuantizeLinear takes floats or int32, got {x.dtype}")
        found = self._checked(x, scale, zero_point, self.dtype)
        return Inferred((x.with_dtype(self.dtype),), found.equations)


@dataclass(frozen=True)
class DequantizeLinear(_Linear):
    """x: q[*s], scale: f[], zero_point: q[]? -> f[*s]: (x - zero_point) * scale; scale as for QuantizeLinear.

    ONNX DequantizeLinear-21.
    """

    rounding = ROUNDED

    def infer(self, x: TensorType, scale: TensorType, zero_point: TensorType | None = None) -> Inferred:
        """The shape of x, in the dtype of the scale."""
        found = self._checked(x, scale, zero_point, x.dtype)
        return Inferred((x.with_dtype(scale.dtype),), found.equations)


@dataclass(frozen=True)
class DynamicQuantizeLinear(Op):
    """x: f[*s] -> codes: u8[*s], scale: f32[], zero_point: u8[], from the range of x and 0.

    scale = (max(x, 0) - min(x, 0)) / 255, zero_point = round(-min(x, 0) / scale); where all of x is 0, the scale is 1,
    as in onnxruntime.  ONNX DynamicQuantizeLinear-11.
    """

    rounding = ROUNDED
    nonnegative = True

    def infer(self, x: TensorType) -> Types:
        """The codes, and two scalars."""
        require("float", x)
        return x.with_dtype(DType.UINT8), TensorType(DType.FLOAT32, ()), TensorType(DType.UINT8, ())


def _operands(x: Operand, scale: Operand, zero_point: Operand | None, code: DType) -> tuple[Value, Value, Value | None]:
    value = as_value(x)
    factor = as_value(scale, like=value if value.dtype.is_float else None)
    if zero_point is None or isinstance(zero_point, Value):
        return value, factor, zero_point
    return value, factor, _codes(zero_point, code)


def _codes(zero_point: Operand, code: DType) -> Value:
    """Plain numbers as codes; an array that has a dtype keeps it."""
    if hasattr(zero_point, "dtype"):
        return as_value(zero_point)
    return as_value(np.asarray(zero_point).astype(code.numpy))


def quantize_linear(
    x: Operand,
    scale: Operand,
    zero_point: Operand | None = None,
    dtype: DTypeLike = "int8",
    axis: int | None = None,
    block_size: int = 0,
) -> Value:
    """round(x / scale) + zero_point as codes of a dtype, within its range; halves round to even.

    scale, zero_point: scalars, or along `axis`, or one for each block of block_size elements on it.

    >>> show(ops.quantize_linear([0.5, -1.0, 100.0], 0.5, 1))
    [2, -1, 127]
    """
    code = DType.of(dtype)
    return apply(QuantizeLinear(axis, block_size, code), *_operands(x, scale, zero_point, code))


def dequantize_linear(
    x: Operand, scale: Operand, zero_point: Operand | None = None, axis: int | None = None, block_size: int = 0
) -> Value:
    """(x - zero_point) * scale, in the dtype of the scale.

    scale, zero_point: scalars, or along `axis`, or one for each block of block_size elements on it.

    >>> show(ops.dequantize_linear(np.array([2, -1, 127], "int8"), 0.5, 1))
    [0.5, -1.0, 63.0]
    """
    value = as_value(x)
    return apply(DequantizeLinear(axis, block_size), *_operands(value, scale, zero_point, value.dtype))


def dynamic_quantize_linear(x: Operand) -> tuple[Value, Value, Value]:
    """The codes of x, the scale and the zero point, from the range of x and 0. Shapes: [*s] -> [*s], [], [].

    >>> show(*ops.dynamic_quantize_linear([0.0, 1.0, 255.0]))
    [0, 1, 255]
    1.0
    0
    """
    codes, scale, zero_point = apply_node(DynamicQuantizeLinear(), (as_value(x),)).outputs
    return codes, scale, zero_point
