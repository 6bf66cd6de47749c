"""Products of codes with integer sums: matrix products and convolutions as integer kernels compute them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

from dagir.errors import DTypeError, ShapeError
from dagir.ir.graph import Op, Operand, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import EXACT, ROUNDED
from dagir.ir.types import DType, Equations, Inferred, TensorType
from dagir.ops.conv import Conv, ForwardConvolution
from dagir.ops.linear import MatMul
from dagir.ops.operands import require

__all__ = [
    "ConvInteger",
    "MatMulInteger",
    "QLinearConv",
    "QLinearMatMul",
    "matmul_integer",
]

_BYTES = (DType.INT8, DType.UINT8)


def check_codes(**types: TensorType) -> None:
    """Raise DTypeError for what are not bytes."""
    for name, type in types.items():
        if type.dtype not in _BYTES:
            raise DTypeError(f"{name} must be codes of int8 or uint8, got {type.dtype}")


def check_zero(equations: Equations, codes: TensorType, zero: TensorType | None, axis: int, what: str) -> None:
    """A scalar, or a number for each place on an axis of the codes."""
    if zero is None:
        return
    if zero.dtype is not codes.dtype:
        raise DTypeError(f"{what} must be {codes.dtype} as its codes are, got {zero.dtype}")
    check_factors(equations, codes, zero, axis, what)


def check_factors(equations: Equations, codes: TensorType, factors: TensorType, axis: int, what: str) -> None:
    """Raise ShapeError for other shapes than that of a scalar, or [the size of an axis of the codes]."""
    size = codes.shape[axis]
    if factors.rank > 1 or (factors.rank == 1 and equations.equate(factors.shape[0], size) is None):
        raise ShapeError(f"{what} must be a scalar or have shape [{size}], got {list(factors.shape)}")


@dataclass(frozen=True)
class MatMulInteger(Op):
    """a: q[..., m, k], b: q[..., k, n], a_zero: q[]?, b_zero: q[]? -> int32[..., m, n]: (a - a_zero) @ (b - b_zero).

    Codes are int8 or uint8. a_zero may be [m], one for each row; b_zero [n], one for each column.  ONNX
    MatMulInteger-10.
    """

    rounding = EXACT
    operands = ("a", "b", "a_zero", "b_zero")

    def infer(
        self, a: TensorType, b: TensorType, a_zero: TensorType | None = None, b_zero: TensorType | None = None
    ) -> Inferred:
        """The shape of the matrix product, in int32."""
        check_codes(a=a, b=b)
        found = Inferred.of(MatMul().infer(a.with_dtype(DType.INT32), b.with_dtype(DType.INT32)))
        equations = Equations()
        equations.found.extend(found.equations)
        check_zero(equations, a, a_zero, -2 if a.rank > 1 else -1, "a_zero")
        check_zero(equations, b, b_zero, -1, "b_zero")
        return equations.inferred(found[0])


@dataclass(frozen=True)
class QLinearMatMul(Op):
    """a: q[..., m, k], b: q[..., k, n] and their scales and zero points -> q[..., m, n], codes of y_scale and y_zero.

    The sums of (a - a_zero) * (b - b_zero) are integers; each is scaled once by a_scale * b_scale / y_scale, rounded
    half to even, and limited to the codes' range. b_scale and b_zero may be [n].  ONNX QLinearMatMul-21.
    """

    rounding = ROUNDED
    operands = ("a", "a_scale", "a_zero", "b", "b_scale", "b_zero", "y_scale", "y_zero")

    def infer(
        self,
        a: TensorType,
        a_scale: TensorType,
        a_zero: TensorType,
        b: TensorType,
        b_scale: TensorType,
        b_zero: TensorType,
        y_scale: TensorType,
        y_zero: TensorType,
    ) -> Inferred:
        """The shape of the matrix product, in the dtype of y_zero."""
        found = MatMulInteger().infer(a, b, a_zero, b_zero)
        equations = Equations()
        equations.found.extend(found.equations)
        require("float", a_scale, b_scale, y_scale)
        check_codes(y_zero=y_zero)
        check_factors(equations, a, a_scale, -2 if a.rank > 1 else -1, "a_scale")
        check_factors(equations, b, b_scale, -1, "b_scale")
        _check_one(y_scale=y_scale, y_zero=y_zero)
        return equations.inferred(found[0].with_dtype(y_zero.dtype))


def _check_one(**types: TensorType) -> None:
    for name, type in types.items():
        if type.rank:
            raise ShapeError(f"{name} must be a scalar, got {list(type.shape)}")


@dataclass(frozen=True)
class ConvInteger(ForwardConvolution):
    """x: q[n, *d, c], w: q[*k, c/groups, o], x_zero: q[]?, w_zero: q[]? -> int32[n, *e, o]; fields as for Conv.

    The convolution of x - x_zero with w - w_zero, padded with zeros, in int32. Codes are int8 or uint8; w_zero may be
    [o].  ONNX ConvInteger-10 with an HWIO kernel.
    """

    rounding = EXACT
    operands: ClassVar[tuple[str, ...]] = ("x", "w", "x_zero", "w_zero")

    def infer(
        self, x: TensorType, w: TensorType, x_zero: TensorType | None = None, w_zero: TensorType | None = None
    ) -> Inferred:
        """The shape of the convolution, in int32."""
        check_codes(x=x, w=w)
        found = self.as_conv().infer(x.with_dtype(DType.FLOAT32), w.with_dtype(DType.FLOAT32))
        equations = Equations()
        equations.found.extend(found.equations)
        if x_zero is not None:
            _check_one(x_zero=x_zero)
        check_zero(equations, x, x_zero, 0, "x_zero")
        check_zero(equations, w, w_zero, -1, "w_zero")
        return equations.inferred(found[0].with_dtype(DType.INT32))

    def as_conv(self) -> Conv:
        """The convolution of floats with the same windows."""
        return Conv(**{field.name: getattr(self, field.name) for field in fields(self)})


@dataclass(frozen=True)
class QLinearConv(ConvInteger):
    """x: q[n, *d, c], w: q[*k, c/groups, o], their scales and zero points, b: int32[o]? -> q[n, *e, o].

    The sums of ConvInteger, and b, are integers; each is scaled once by x_scale * w_scale / y_scale, rounded half to
    even, and limited to the codes' range. w_scale and w_zero may be [o].  ONNX QLinearConv-10 with an HWIO kernel.
    """

    rounding = ROUNDED
    operands = ("x", "x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "y_zero", "b")

    def infer(  # type: ignore[override]
        self,
        x: TensorType,
        x_scale: TensorType,
        x_zero: TensorType,
        w: TensorType,
        w_scale: TensorType,
        w_zero: TensorType,
        y_scale: TensorType,
        y_zero: TensorType,
        b: TensorType | None = None,
    ) -> Inferred:
        """The shape of the convolution, in the dtype of y_zero."""
        found = super().infer(x, w, x_zero, w_zero)
        equations = Equations()
        equations.found.extend(found.equations)
        require("float", x_scale, w_scale, y_scale)
        check_codes(y_zero=y_zero)
        _check_one(x_scale=x_scale, y_scale=y_scale, y_zero=y_zero)
        check_factors(equations, w, w_scale, -1, "w_scale")
        if b is not None and (b.dtype is not DType.INT32 or b.shape != w.shape[-1:]):
            raise ShapeError(f"the bias must be int32[{w.shape[-1]}], got {b}")
        return equations.inferred(found[0].with_dtype(y_zero.dtype))


def matmul_integer(a: Operand, b: Operand, a_zero: Operand | None = None, b_zero: Operand | None = None) -> Value:
    """(a - a_zero) @ (b - b_zero) of int8 or uint8 codes, in int32. Shapes: [..., m, k], [..., k, n] -> [..., m, n].

    a_zero, b_zero: scalars of the codes' dtypes, or a vector, one number for each row of a, or for each column of b.

    >>> show(ops.matmul_integer(np.array([[1, 2]], "uint8"), np.array([[3], [4]], "int8"), np.uint8(1)))
    [[4]]
    """
    zeros = [None if zero is None else as_value(zero) for zero in (a_zero, b_zero)]
    return apply(MatMulInteger(), as_value(a), as_value(b), *zeros)
