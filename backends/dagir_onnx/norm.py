"""Normalizations: ONNX's own where it has these axes, else as single operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from dagir import ops
from dagir.ir.types import Array, DType, TensorType
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.half_precision import narrowed, widened
from dagir_onnx.rules import rules


@rules.rule(ops.BatchNorm)
def batch_norm(
    op: ops.BatchNorm, emit: Emitter, x: Tensor, gamma: Tensor | None, beta: Tensor | None, mean: Tensor, var: Tensor
) -> Tensor:
    dtype = x.type.dtype
    x, gamma, beta, mean, var = (widened(emit, tensor) for tensor in (x, gamma, beta, mean, var))  # type: ignore[assignment]
    known = all(tensor is None or tensor.is_initializer for tensor in (gamma, beta, mean, var))
    native = op.axis == 1 and isinstance(var.type.shape[0], int) and _holds_epsilon(dtype)
    if native:
        y = _native(op, emit, x, gamma, beta, mean, var)
    elif known:
        kind = var.type.with_shape((*var.type.shape, *[1] * (x.type.rank - op.axis - 1)))
        scale, offset = _folded(op, emit, gamma, beta, mean, var, kind)
        y = emit("Add", emit("Mul", x, scale), offset)
    else:
        y = _written_out(op, emit, x, gamma, beta, mean, var)
    return narrowed(emit, y, dtype)


def _native(
    op: ops.BatchNorm, emit: Emitter, x: Tensor, gamma: Tensor | None, beta: Tensor | None, mean: Tensor, var: Tensor
) -> Tensor:
    scale, offset = gamma or _untrained(emit, 1, var.type), beta or _untrained(emit, 0, var.type)
    vectors, momentum = (scale, offset, mean, var), op.momentum
    y: Tensor = emit("BatchNormalization", x, *vectors, epsilon=op.epsilon, momentum=momentum)
    return y


def _untrained(emit: Emitter, number: float, type: TensorType) -> Tensor:
    """A vector in place of one that the model does not have, marked so that a reader tells it from one."""
    found = _filled(emit, type, number)
    emit.frozen.add(found.name)
    return found


def _holds_epsilon(dtype: DType) -> bool:
    """Whether epsilon can be an attribute: attributes are float32, which changes a float64 answer."""
    return dtype is not DType.FLOAT64


def _filled(emit: Emitter, type: TensorType, number: float) -> Tensor:
    return emit.constant(np.full(cast(tuple[int, ...], type.shape), number, type.dtype.numpy))


def _folded(
    op: ops.BatchNorm,
    emit: Emitter,
    gamma: Tensor | None,
    beta: Tensor | None,
    mean: Tensor,
    var: Tensor,
    kind: TensorType,
) -> tuple[Tensor, Tensor]:
    """The scale and offset of x, computed in float64 when the file is written, with a shape that broadcasts."""
    how = f"of {'/'.join(tensor.name if tensor else '' for tensor in (gamma, beta, mean, var))} at {op.epsilon}"

    def wide(tensor: Tensor | None, default: float) -> Array:
        return np.asarray(default if tensor is None else tensor.array, np.float64)

    def scale() -> Array:
        return wide(gamma, 1) / np.sqrt(wide(var, 1) + op.epsilon)

    def offset() -> Array:
        return wide(beta, 0) - wide(mean, 0) * scale()

    def shaped(array: Array) -> Array:
        return array.reshape(cast(tuple[int, ...], kind.shape)).astype(kind.dtype.numpy)

    scales = emit.derived(gamma or var, f"scale {how}", lambda _: shaped(scale()), kind)
    offsets = emit.derived(beta or mean, f"offset {how}", lambda _: shaped(offset()), kind)
    return scales, offsets


def _written_out(
    op: ops.BatchNorm, emit: Emitter, x: Tensor, gamma: Tensor | None, beta: Tensor | None, mean: Tensor, var: Tensor
) -> Tensor:
    """For statistics that the graph computes."""
    deviation = emit("Sqrt", emit("Add", var, emit.constant(op.epsilon, var.type.dtype)))
    y = emit("Div", emit("Sub", x, _along(emit, mean, (op.axis,), x)), _along(emit, deviation, (op.axis,), x))
    return _scaled(emit, y, (op.axis,), gamma, beta)


@rules.rule(ops.LayerNorm)
def layer_norm(
    op: ops.LayerNorm, emit: Emitter, x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None
) -> Tensor:
    dtype, rank = x.type.dtype, x.type.rank
    x, gamma, beta = (widened(emit, tensor) for tensor in (x, gamma, beta))  # type: ignore[assignment]
    sizes = tuple(x.type.shape[axis] for axis in op.axes)
    trailing = op.axes == tuple(range(op.axes[0], rank)) and _holds_epsilon(dtype)
    if trailing and (gamma is not None or all(isinstance(size, int) for size in sizes)):
        scale = gamma or _filled(emit, x.type.with_shape(sizes), 1)
        y = emit("LayerNormalization", x, scale, beta, axis=op.axes[0], epsilon=op.epsilon)
        return narrowed(emit, y, dtype)
    y = _standardized(emit, x, op.axes, op.epsilon)
    return narrowed(emit, _scaled(emit, y, op.axes, gamma, beta), dtype)


@rules.rule(ops.GroupNorm)
def group_norm(
    op: ops.GroupNorm, emit: Emitter, x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None
) -> Tensor:
    """Not GroupNormalization-21: it computes the variance as mean(x**2) - mean(x)**2, which cancels."""
    dtype, rank, shape = x.type.dtype, x.type.rank, x.type.shape
    x, gamma, beta = (widened(emit, tensor) for tensor in (x, gamma, beta))  # type: ignore[assignment]
    kind = x.type.with_shape(op.split(shape))
    parts = emit("Reshape", x, emit.shape_tensor(kind.shape), type=kind)
    y = _standardized(emit, parts, op.reduced(rank), op.epsilon)
    y = emit("Reshape", y, emit.shape_tensor(shape), type=x.type)
    return narrowed(emit, _scaled(emit, y, (op.axis,), gamma, beta), dtype)


@rules.rule(ops.RMSNorm)
def rms_norm(op: ops.RMSNorm, emit: Emitter, x: Tensor, scale: Tensor | None = None) -> Tensor:
    dtype = x.type.dtype
    x, scale = widened(emit, x), widened(emit, scale)  # type: ignore[assignment]
    trailing = op.axes == tuple(range(op.axes[0], x.type.rank)) and _holds_epsilon(dtype)
    if trailing and scale is not None and emit.opset >= 23:
        y = emit("RMSNormalization", x, scale, axis=op.axes[0], epsilon=op.epsilon)
        return narrowed(emit, y, dtype)
    square = emit("ReduceMean", emit("Mul", x, x), emit.ints(*op.axes), keepdims=1)
    y = emit("Div", x, emit("Sqrt", emit("Add", square, emit.constant(op.epsilon, x.type.dtype))))
    return narrowed(emit, _scaled(emit, y, op.axes, scale, None), dtype)


def _standardized(emit: Emitter, x: Tensor, over: Sequence[int], epsilon: float) -> Tensor:
    """x with mean 0 and variance 1 over some axes."""
    axes = emit.ints(*over)
    centred = emit("Sub", x, emit("ReduceMean", x, axes, keepdims=1))
    variance = emit("ReduceMean", emit("Mul", centred, centred), axes, keepdims=1)
    return cast(Tensor, emit("Div", centred, emit("Sqrt", emit("Add", variance, emit.constant(epsilon, x.type.dtype)))))


def _along(emit: Emitter, vector: Tensor, axes: Sequence[int], x: Tensor) -> Tensor:
    """The vector with axes of size 1 after each of its own, so that it broadcasts along `axes` of x."""
    inner = [axis - axes[0] for axis in range(axes[0], x.type.rank) if axis not in axes]
    if not inner:
        return vector
    if vector.is_initializer:
        sizes = iter(vector.type.shape)
        shape = tuple(next(sizes) if axis in axes else 1 for axis in range(axes[0], x.type.rank))
        kind, how = vector.type.with_shape(shape), "along " + "x".join(map(str, shape))
        return emit.derived(vector, how, lambda array: array.reshape(cast(tuple[int, ...], shape)), kind)
    return cast(Tensor, emit("Unsqueeze", vector, emit.ints(*inner)))


def _scaled(emit: Emitter, y: Tensor, axes: Sequence[int], gamma: Tensor | None, beta: Tensor | None) -> Tensor:
    y = y if gamma is None else emit("Mul", y, _along(emit, gamma, axes, y))
    return y if beta is None else emit("Add", y, _along(emit, beta, axes, y))
