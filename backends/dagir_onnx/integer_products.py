"""Products of codes: the integer operators, where onnxruntime has a kernel for the dtypes."""

from __future__ import annotations

from dagir import ops
from dagir.ir.types import DType
from dagir_onnx.conv import output_type, window_attributes
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.integers import cast
from dagir_onnx.layout import channels_back, channels_first
from dagir_onnx.rules import rules


@rules.rule(ops.MatMulInteger)
def matmul_integer(
    op: ops.MatMulInteger,
    emit: Emitter,
    a: Tensor,
    b: Tensor,
    a_zero: Tensor | None = None,
    b_zero: Tensor | None = None,
) -> Tensor:
    stacked = b.type.rank != 2 and b_zero is not None and b_zero.type.rank
    if stacked or (a_zero is not None and a_zero.type.rank):
        return _product(emit, a, b, a_zero, b_zero)
    a, a_zero = _unsigned(emit, a, a_zero)
    return emit("MatMulInteger", a, b, a_zero, b_zero, type=emit.outputs[0].type.with_dtype(DType.INT32))


def _product(emit: Emitter, a: Tensor, b: Tensor, a_zero: Tensor | None, b_zero: Tensor | None) -> Tensor:
    """The product of int32 matrices: the operators take one zero point for all rows."""
    left, right = cast(emit, a, DType.INT32), cast(emit, b, DType.INT32)
    if a_zero is not None:
        column = cast(emit, a_zero, DType.INT32)
        if a_zero.type.rank and a.type.rank > 1:
            column = emit("Unsqueeze", column, emit.ints(-1))
        left = emit("Sub", left, column)
    if b_zero is not None:
        right = emit("Sub", right, cast(emit, b_zero, DType.INT32))
    found: Tensor = emit("MatMul", left, right, type=emit.outputs[0].type.with_dtype(DType.INT32))
    return found


def _unsigned(emit: Emitter, codes: Tensor, zero: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """int8 codes and their zero point as uint8, both 128 more: few kernels take int8 on the left."""
    if codes.type.dtype is DType.UINT8:
        return codes, zero
    start = emit.constant(128, DType.UINT8) if zero is None else _raised(emit, zero)
    return _raised(emit, codes), start


def _raised(emit: Emitter, codes: Tensor) -> Tensor:
    """int8 codes plus 128 as uint8."""
    wide = emit("Add", cast(emit, codes, DType.INT32), emit.constant(128, DType.INT32))
    return cast(emit, wide, DType.UINT8)


@rules.rule(ops.QLinearMatMul)
def qlinear_matmul(
    op: ops.QLinearMatMul,
    emit: Emitter,
    a: Tensor,
    a_scale: Tensor,
    a_zero: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Tensor,
    y_scale: Tensor,
    y_zero: Tensor,
) -> Tensor:
    factors = [cast(emit, scale, DType.FLOAT32) for scale in (a_scale, b_scale, y_scale)]
    same = a.type.dtype is y_zero.type.dtype and (a.type.dtype is DType.UINT8 or b.type.dtype is DType.INT8)
    rows, columns = a_zero.type.rank + a_scale.type.rank, b_scale.type.rank
    if same and not rows and columns == b_zero.type.rank and (b.type.rank == 2 or not columns):
        return emit(
            "QLinearMatMul", a, factors[0], a_zero, b, factors[1], b_zero, factors[2], y_zero, type=emit.outputs[0].type
        )
    sums = _product(emit, a, b, a_zero, b_zero)
    if a_scale.type.rank and a.type.rank > 1:
        factors[0] = emit("Unsqueeze", factors[0], emit.ints(-1))
    return _scaled(emit, sums, factors, y_zero)


def _scaled(emit: Emitter, sums: Tensor, factors: list[Tensor], y_zero: Tensor) -> Tensor:
    """Sums times the first two factors over the third, as codes."""
    factor = emit("Div", emit("Mul", factors[0], factors[1]), factors[2])
    scaled = emit("Mul", cast(emit, sums, DType.FLOAT32), factor, type=sums.type.with_dtype(DType.FLOAT32))
    moved = emit("Add", emit("Round", scaled), cast(emit, y_zero, DType.FLOAT32))
    ends = [emit.constant(float(end), DType.FLOAT32) for end in y_zero.type.dtype.bounds]
    return cast(emit, emit("Clip", moved, *ends, type=moved.type), y_zero.type.dtype)


@rules.rule(ops.ConvInteger)
def conv_integer(
    op: ops.ConvInteger,
    emit: Emitter,
    x: Tensor,
    w: Tensor,
    x_zero: Tensor | None = None,
    w_zero: Tensor | None = None,
) -> Tensor:
    return channels_back(op, emit, _convolved(op, emit, x, w, x_zero, w_zero))


def _convolved(
    op: ops.ConvInteger, emit: Emitter, x: Tensor, w: Tensor, x_zero: Tensor | None, w_zero: Tensor | None
) -> Tensor:
    """int32[n, o, *e]."""
    x, x_zero = _unsigned(emit, x, x_zero)
    w, w_zero = _unsigned(emit, w, w_zero)
    attributes, x = window_attributes(op, emit, channels_first(op, emit, x), w, x_zero)
    kernel = emit.transposed(w, (op.rank + 1, op.rank, *range(op.rank)))
    kind = output_type(op, emit).with_dtype(DType.INT32)
    if w_zero is None or not w_zero.type.rank:
        found: Tensor = emit("ConvInteger", x, kernel, x_zero, w_zero, type=kind, **attributes)
        return found
    sums = emit("ConvInteger", x, kernel, x_zero, type=kind, **attributes)
    ones = emit.filled(1, kernel.type)  # its kernel has one zero point for all filters: the others are multiplied out
    count = emit("ConvInteger", x, ones, x_zero, type=kind, **attributes)
    zeros = emit("Reshape", cast(emit, w_zero, DType.INT32), emit.ints(-1, *(1,) * op.rank))
    less: Tensor = emit("Sub", sums, emit("Mul", count, zeros))
    return less


@rules.rule(ops.QLinearConv)
def qlinear_conv(
    op: ops.QLinearConv,
    emit: Emitter,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor,
    w: Tensor,
    w_scale: Tensor,
    w_zero: Tensor,
    y_scale: Tensor,
    y_zero: Tensor,
    b: Tensor | None = None,
) -> Tensor:
    scales = [cast(emit, scale, DType.FLOAT32) for scale in (x_scale, w_scale, y_scale)]
    if x.type.dtype is not y_zero.type.dtype or (x.type.dtype is DType.INT8 and w.type.dtype is DType.UINT8):
        return _by_sums(op, emit, (x, w, x_zero, w_zero), scales, y_zero, b)
    attributes, x = window_attributes(op, emit, channels_first(op, emit, x), w, x_zero)
    kernel = emit.transposed(w, (op.rank + 1, op.rank, *range(op.rank)))
    operands = (x, scales[0], x_zero, kernel, scales[1], w_zero, scales[2], y_zero, b)
    y = emit("QLinearConv", *operands, type=output_type(op, emit), **attributes)
    return channels_back(op, emit, y)


def _by_sums(
    op: ops.QLinearConv,
    emit: Emitter,
    operands: tuple[Tensor, Tensor, Tensor, Tensor],
    scales: list[Tensor],
    y_zero: Tensor,
    b: Tensor | None,
) -> Tensor:
    """ConvInteger and the arithmetic after it: QLinearConv has kernels for codes of one dtype."""
    sums = _convolved(op, emit, *operands)
    column = emit.ints(-1, *(1,) * op.rank)
    if b is not None:
        sums = emit("Add", sums, emit("Reshape", b, column))
    if scales[1].type.rank:
        scales[1] = emit("Reshape", scales[1], column)
    return channels_back(op, emit, _scaled(emit, sums, scales, y_zero))
