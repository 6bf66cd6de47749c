"""Activation functions."""

from __future__ import annotations

from math import pi, sqrt
from typing import cast

from dagir import ops
from dagir.ir.types import DType
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.elementwise import expm1, log1p
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.rules import rules

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805

for _op, _op_type in {
    ops.Relu: "Relu",
    ops.Sigmoid: "Sigmoid",
    ops.Tanh: "Tanh",
}.items():
    rules.rule(_op)(lambda op, emit, x, op_type=_op_type: emit(op_type, x))


# onnxruntime's CPU has no float64 kernel for most of these, and where it has one, attributes are float32.


@rules.rule(ops.Softplus)
def softplus(op: ops.Softplus, emit: Emitter, x: Tensor) -> Tensor:
    """max(x, 0) + log(1 + e**-|x|) in float64."""
    if not _is_wide(x):
        return emit("Softplus", x)
    rest = log1p(ops.Log1p(), emit, emit("Exp", emit("Neg", emit("Abs", x))))
    return emit("Add", emit("Relu", x), rest)


@rules.rule(ops.Softsign)
def softsign(op: ops.Softsign, emit: Emitter, x: Tensor) -> Tensor:
    if not _is_wide(x):
        return emit("Softsign", x)
    return emit("Div", x, emit("Add", emit("Abs", x), emit.constant(1, x.type.dtype)))


@rules.rule(ops.Selu)
def selu(op: ops.Selu, emit: Emitter, x: Tensor) -> Tensor:
    if not _is_wide(x):
        return emit("Selu", x)
    return emit("Mul", _exponential(emit, x, SELU_ALPHA), emit.constant(SELU_SCALE, x.type.dtype))


def _is_wide(x: Tensor) -> bool:
    return x.type.dtype is DType.FLOAT64


def _exponential(emit: Emitter, x: Tensor, alpha: float, width: float = 1.0) -> Tensor:
    """x above 0, alpha * (e**(x / width) - 1) below."""
    zero, dtype = emit.constant(0, x.type.dtype), x.type.dtype
    below = emit("Div", emit("Min", x, zero), emit.constant(width, dtype))
    curve = emit("Mul", expm1(ops.Expm1(), emit, below), emit.constant(alpha, dtype))
    return cast(Tensor, emit("Where", emit("Greater", x, zero), x, curve))


@rules.rule(ops.Silu)
def silu(op: ops.Silu, emit: Emitter, x: Tensor) -> Tensor:
    return emit("Mul", x, emit("Sigmoid", x))


@rules.rule(ops.HardSigmoid)
def hard_sigmoid(op: ops.HardSigmoid, emit: Emitter, x: Tensor) -> Tensor:
    if not _is_wide(x):
        return emit("HardSigmoid", x, alpha=1 / 6, beta=0.5)
    line = emit("Add", emit("Div", x, emit.constant(6, x.type.dtype)), emit.constant(0.5, x.type.dtype))
    return emit("Min", emit("Relu", line), emit.constant(1, x.type.dtype))


@rules.rule(ops.Elu)
def elu(op: ops.Elu, emit: Emitter, x: Tensor) -> Tensor:
    return _exponential(emit, x, op.alpha) if _is_wide(x) else emit("Elu", x, alpha=op.alpha)


@rules.rule(ops.HardSilu)
def hard_silu(op: ops.HardSilu, emit: Emitter, x: Tensor) -> Tensor:
    return emit("Mul", x, hard_sigmoid(ops.HardSigmoid(), emit, x)) if _is_wide(x) else emit("HardSwish", x)


@rules.rule(ops.Celu)
def celu(op: ops.Celu, emit: Emitter, x: Tensor) -> Tensor:
    return _exponential(emit, x, op.alpha, op.alpha) if _is_wide(x) else emit("Celu", x, alpha=op.alpha)


@rules.rule(ops.HardShrink)
def hard_shrink(op: ops.HardShrink, emit: Emitter, x: Tensor) -> Tensor:
    return _shrink(emit, x, op.threshold, 0.0)


@rules.rule(ops.SoftShrink)
def soft_shrink(op: ops.SoftShrink, emit: Emitter, x: Tensor) -> Tensor:
    return _shrink(emit, x, op.threshold, op.threshold)


def _shrink(emit: Emitter, x: Tensor, threshold: float, bias: float) -> Tensor:
    dtype = x.type.dtype
    if dtype is not DType.FLOAT64:
        return emit("Shrink", x, lambd=threshold, bias=bias)
    limit, shift = emit.constant(threshold, dtype), emit.constant(bias, dtype)  # attributes are float32
    below = emit("Where", emit("Less", x, emit("Neg", limit)), emit("Add", x, shift), emit.constant(0, dtype))
    return emit("Where", emit("Greater", x, limit), emit("Sub", x, shift), below)


@rules.rule(ops.LeakyRelu)
def leaky_relu(op: ops.LeakyRelu, emit: Emitter, x: Tensor) -> Tensor:
    if not _is_wide(x):
        return emit("LeakyRelu", x, alpha=op.negative_slope)
    scaled = emit("Mul", x, emit.constant(op.negative_slope, x.type.dtype))
    return emit("Where", emit("Greater", x, emit.constant(0, x.type.dtype)), x, scaled)


@rules.rule(ops.Gelu)
def gelu(op: ops.Gelu, emit: Emitter, x: Tensor) -> Tensor:
    if emit.opset >= 20 and x.type.dtype is not DType.FLOAT64:  # its numbers are float32 in onnxruntime
        return emit("Gelu", x, approximate="tanh" if op.approximate else "none")

    def number(value: float) -> Tensor:
        return emit.constant(value, x.type.dtype)

    if op.approximate:
        cube = emit("Mul", emit("Mul", x, x), x)
        inner = emit("Mul", emit("Add", x, emit("Mul", cube, number(0.044715))), number(sqrt(2 / pi)))
        bell = emit("Tanh", inner)
    else:
        bell = emit("Erf", emit("Div", x, number(sqrt(2))))
    return emit("Mul", emit("Mul", x, emit("Add", bell, number(1))), number(0.5))


@rules.rule(ops.Softmax)
def softmax(op: ops.Softmax, emit: Emitter, x: Tensor) -> Tensor:
    if len(op.axes) == 1:
        return emit("Softmax", x, axis=op.axes[0])
    axes = emit.ints(*op.axes)
    powers = emit("Exp", emit("Sub", x, emit("ReduceMax", x, axes, keepdims=1)))
    return emit("Div", powers, emit("ReduceSum", powers, axes, keepdims=1))


@rules.rule(ops.LogSoftmax)
def log_softmax(op: ops.LogSoftmax, emit: Emitter, x: Tensor) -> Tensor:
    if len(op.axes) == 1:
        return emit("LogSoftmax", x, axis=op.axes[0])
    axes = emit.ints(*op.axes)
    shifted = emit("Sub", x, emit("ReduceMax", x, axes, keepdims=1))
    return emit("Sub", shifted, emit("Log", emit("ReduceSum", emit("Exp", shifted), axes, keepdims=1)))


@rules.rule(ops.Sparsemax)
def sparsemax(op: ops.Sparsemax, emit: Emitter, x: Tensor) -> Tensor:
    """Sorted by TopK; the support is the k largest, k the greatest with 1 + k*x_(k) > x_(1) + ... + x_(k)."""
    dtype, axis = x.type.dtype, emit.ints(op.axis)
    one, zero = emit.constant(1, dtype), emit.constant(0, dtype)
    ordered, _ = emit("TopK", x, emit("Shape", x, start=op.axis, end=op.axis + 1), outputs=2, axis=op.axis)
    sums = emit("CumSum", ordered, emit.constant(op.axis, "int64"))
    places = emit("CumSum", emit("Add", emit("Mul", ordered, zero), one), emit.constant(op.axis, "int64"))
    kept = emit("Greater", emit("Add", emit("Mul", places, ordered), one), sums)
    count = emit("ReduceSum", emit("Cast", kept, to=TO_ONNX[dtype]), axis, keepdims=1)
    total = emit("ReduceSum", emit("Where", kept, ordered, zero), axis, keepdims=1)
    return emit("Relu", emit("Sub", x, emit("Div", emit("Sub", total, one), count)))


@rules.rule(ops.PRelu)
def prelu(op: ops.PRelu, emit: Emitter, x: Tensor, slope: Tensor) -> Tensor:
    if x.type.dtype is DType.FLOAT32:  # onnxruntime has a kernel for this one
        return emit("PRelu", x, slope)
    positive = emit("Greater", x, emit.constant(0, x.type.dtype))
    return emit("Where", positive, x, emit("Mul", slope, x))
