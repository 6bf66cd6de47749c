"""Attention: ONNX's own from opset 23, where onnxruntime's kernel is right, else as single operations.

With a boolean mask the kernel is wrong where all of a row is masked (microsoft/onnxruntime#29020), and a mask must have
the full size of the last two axes. So a mask is given at full size, as numbers to add: the lowest number where a score
does not count.
"""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.types import DType, TensorType
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.half_precision import narrowed, widened
from dagir_onnx.rules import rules

_LOWEST = -0.7 * 3.38953e38  # what Keras sets a masked score to


@rules.rule(ops.Attention)
def attention(
    op: ops.Attention,
    emit: Emitter,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    dtype = q.type.dtype
    q, k, v, bias = (widened(emit, tensor) for tensor in (q, k, v, bias))  # type: ignore[assignment]
    if emit.opset >= 23 and q.type.rank in (3, 4):
        y = _native(op, emit, q, k, v, bias, mask)
    else:
        y = _written_out(op, emit, q, k, v, bias, mask)
    return narrowed(emit, y, dtype)


def _native(
    op: ops.Attention, emit: Emitter, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, mask: Tensor | None
) -> Tensor:
    causal = op.causal and mask is None and op.window is None
    counts = None if causal else _counts(op, emit, q, k, mask)
    if counts is not None:
        added = _number(emit, 0, q) if bias is None else bias
        bias = emit("Where", counts, added, _number(emit, _LOWEST, q), type=q.type)
    if bias is not None:
        bias = emit("Expand", bias, emit("Concat", _steps(emit, q), _steps(emit, k), axis=0), type=q.type)
    if q.type.rank == 4:
        y: Tensor = emit("Attention", q, k, v, bias, scale=op.scale, is_causal=int(causal))
        return y
    # The leading axis is the batch; if k has fewer axes, it is the heads, and a bias [heads, t, s] is right as it is.
    axis = 1 if op.groups(q.type.shape, k.type.shape) == 1 else 0
    q, k, v = (emit("Unsqueeze", tensor, emit.ints(axis), type=_lifted(tensor, axis)) for tensor in (q, k, v))
    if bias is not None and axis == 1:
        shape = emit("Concat", emit.ints(-1, 1), _steps(emit, q), _steps(emit, k), axis=0)
        bias = emit("Reshape", bias, shape)
    lifted = emit("Attention", q, k, v, bias, scale=op.scale, is_causal=int(causal))
    return emit("Squeeze", lifted, emit.ints(axis), type=q.type)


def _lifted(tensor: Tensor, axis: int) -> TensorType:
    shape = tensor.type.shape
    return tensor.type.with_shape((*shape[:axis], 1, *shape[axis:]))


def _written_out(
    op: ops.Attention, emit: Emitter, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, mask: Tensor | None
) -> Tensor:
    counts = _counts(op, emit, q, k, mask)
    groups = op.groups(q.type.shape, k.type.shape)
    heads = k.type.shape[-3] if groups > 1 else None
    if isinstance(heads, int):
        order = emit.constant(np.repeat(np.arange(heads), groups), np.int64)
        k, v = (emit("Gather", tensor, order, axis=tensor.type.rank - 3) for tensor in (k, v))
    rank = k.type.rank
    turned = emit.transposed(k, (*range(rank - 2), rank - 1, rank - 2))
    scores = emit("MatMul", emit("Mul", q, _number(emit, op.scale, q)), turned)
    if bias is not None:
        scores = emit("Add", scores, bias)
    if counts is not None:
        scores = emit("Where", counts, scores, _number(emit, _LOWEST, q), type=q.type)
    weights = emit("Softmax", scores, axis=-1)
    return emit("MatMul", weights, v)


def _number(emit: Emitter, number: float, like: Tensor) -> Tensor:
    return emit.constant(number, like.type.dtype)


def _steps(emit: Emitter, tensor: Tensor, axis: int = -2) -> Tensor:
    """The size of an axis, counted from the end, as a tensor [1]."""
    size = tensor.type.shape[axis]
    if isinstance(size, int):
        return emit.ints(size)
    kind = TensorType(DType.INT64, (1,))
    return emit("Shape", tensor, start=axis, end=axis + 1 or None, type=kind)


def _counts(op: ops.Attention, emit: Emitter, q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor | None:
    """Which scores count; None for all."""
    if not op.causal and op.window is None:
        return mask
    reach = None if op.window is None else op.window - 1
    within = _band(ops.Band(reach, 0 if op.causal else reach), emit, (q, -2), (k, -2))
    return within if mask is None else emit("And", mask, within)


@rules.rule(ops.Band)
def band(op: ops.Band, emit: Emitter, x: Tensor) -> Tensor:
    return _band(op, emit, (x, -2), (x, -1))


def _band(op: ops.Band, emit: Emitter, rows: tuple[Tensor, int], columns: tuple[Tensor, int]) -> Tensor:
    """A constant where both sizes are known, else computed. Each size is given as a tensor and its axis."""
    m, n = (tensor.type.shape[axis] for tensor, axis in (rows, columns))
    if isinstance(m, int) and isinstance(n, int):
        return emit.constant(_inside(op, m, n))
    steps = [_steps(emit, tensor, axis) for tensor, axis in (rows, columns)]
    flat = TensorType(DType.INT64, (1,))
    square = TensorType(DType.BOOL, (1, 1))
    zero, one = emit.constant(0, np.int64), emit.constant(1, np.int64)
    i, j = (emit("Range", zero, emit("Squeeze", size, emit.ints(0), type=zero.type), one, type=flat) for size in steps)
    ahead = emit("Sub", j, emit("Unsqueeze", i, emit.ints(1), type=flat), type=flat)
    parts = []
    if op.below is not None:
        parts.append(emit("GreaterOrEqual", ahead, emit.constant(-op.below, np.int64), type=square))
    if op.above is not None or op.below is None:
        top = np.iinfo(np.int64).max if op.above is None else op.above
        parts.append(emit("LessOrEqual", ahead, emit.constant(top, np.int64), type=square))
    return parts[0] if len(parts) == 1 else emit("And", *parts)


def _inside(op: ops.Band, rows: int, columns: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    ahead = np.arange(columns) - np.arange(rows)[:, None]
    low = -rows if op.below is None else -op.below
    return (ahead >= low) & (ahead <= (columns if op.above is None else op.above))
