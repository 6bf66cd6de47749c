"""Attention: native from opset 23, where onnxruntime's kernel computes what is meant, else written out.

Its boolean masks give another answer where a row is masked whole (microsoft/onnxruntime#29020), and its masks must have
the full last two axes. So a mask goes in as numbers to be added, the lowest where a score does not count, at full size.
"""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.types import DType, TensorType
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.norm import narrowed, widened
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
    lift = q.type.rank == 3
    if lift:
        q, k, v = (emit("Unsqueeze", tensor, emit.ints(1), type=_lifted(tensor)) for tensor in (q, k, v))
        if bias is not None:  # [..., t, s], whose first axis is the batch: heads come behind it
            axes = emit.constant(1, np.int64)
            shape = emit("Concat", emit.ints(-1, 1), _steps(emit, q), _steps(emit, k), axis=0, type=axes.type)
            bias = emit("Reshape", bias, shape)
    y: Tensor = emit("Attention", q, k, v, bias, scale=op.scale, is_causal=int(causal))
    return emit("Squeeze", y, emit.ints(1)) if lift else y


def _lifted(tensor: Tensor) -> TensorType:
    first, *rest = tensor.type.shape
    return tensor.type.with_shape((first, 1, *rest))


def _written_out(
    op: ops.Attention, emit: Emitter, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, mask: Tensor | None
) -> Tensor:
    counts = _counts(op, emit, q, k, mask)
    groups = op.groups(q.type.shape, k.type.shape)
    if groups > 1:
        heads = k.type.shape[-3]
        assert isinstance(heads, int)
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
    """[1]: the size of an axis counted from the end."""
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
    sizes = (q.type.shape[-2], k.type.shape[-2])
    known = isinstance(sizes[0], int) and isinstance(sizes[1], int)
    steps = None if known else (_steps(emit, q), _steps(emit, k))
    within = _band(ops.Band(reach, 0 if op.causal else reach), emit, sizes, steps)
    return within if mask is None else emit("And", mask, within)


@rules.rule(ops.Band)
def band(op: ops.Band, emit: Emitter, x: Tensor) -> Tensor:
    sizes = (x.type.shape[-2], x.type.shape[-1])
    known = all(isinstance(size, int) for size in sizes)
    return _band(op, emit, sizes, None if known else (_steps(emit, x), _steps(emit, x, -1)))


def _band(op: ops.Band, emit: Emitter, sizes: tuple[object, object], steps: tuple[Tensor, Tensor] | None) -> Tensor:
    """A constant where both sizes are known, else computed from `steps`."""
    if steps is None:
        rows, columns = sizes
        assert isinstance(rows, int)
        assert isinstance(columns, int)
        return emit.constant(_inside(op, rows, columns))
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
