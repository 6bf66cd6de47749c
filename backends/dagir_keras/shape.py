"""Ops that move elements and compute none."""

from __future__ import annotations

from typing import Any

from keras import backend
from keras import ops as K

from dagir import ops
from dagir.ir.dims import SymbolicDim
from dagir_keras.rules import rules


@rules.rule(ops.Reshape)
def reshape(op: ops.Reshape, x: Any) -> Any:
    return K.reshape(x, _one_open(op.target))


def _one_open(target: Any) -> tuple[Any, ...]:
    """Keras has no named sizes: one unknown size becomes -1."""
    return tuple(-1 if isinstance(size, SymbolicDim) else size for size in target)


@rules.rule(ops.Transpose)
def transpose(op: ops.Transpose, x: Any) -> Any:
    return K.transpose(x, op.axes)


@rules.rule(ops.ExpandDims)
def expand_dims(op: ops.ExpandDims, x: Any) -> Any:
    return K.expand_dims(x, op.axis)


@rules.rule(ops.Squeeze)
def squeeze(op: ops.Squeeze, x: Any) -> Any:
    if all(x.shape[axis] == 1 for axis in op.axes):
        return K.squeeze(x, op.axes) if op.axes else x  # an empty tuple would mean all axes of size 1
    # Keras does not see that a slice of an unknown axis has one element
    return x[tuple(0 if axis in op.axes else slice(None) for axis in range(len(x.shape)))]


@rules.rule(ops.BroadcastTo)
def broadcast_to(op: ops.BroadcastTo, x: Any) -> Any:
    return K.broadcast_to(x, op.target)


@rules.rule(ops.Concatenate)
def concatenate(op: ops.Concatenate, *xs: Any) -> Any:
    return K.concatenate(xs, axis=op.axis)


@rules.rule(ops.Pad)
def pad(op: ops.Pad, x: Any) -> Any:
    if op.mode == "edge":
        return _edge_padded(op, x)
    grown = [(max(before, 0), max(after, 0)) for before, after in op.pads]
    kind = bool if x.dtype == "bool" else int if "int" in backend.standardize_dtype(x.dtype) else float
    fill = kind(op.value) if op.mode == "constant" else None
    y = K.pad(x, grown, mode=op.mode, constant_values=fill)
    return y[tuple(slice(max(-before, 0), min(after, 0) or None) for before, after in op.pads)]


def _edge_padded(op: ops.Pad, x: Any) -> Any:
    """TensorFlow has no mode "edge": the first and the last slice are repeated."""
    for axis, (before, after) in enumerate(op.pads):
        lead = (slice(None),) * axis
        parts = [K.repeat(x[(*lead, slice(0, 1))], before, axis=axis)] if before else []
        parts.append(x)
        if after:
            parts.append(K.repeat(x[(*lead, slice(-1, None))], after, axis=axis))
        x = K.concatenate(parts, axis=axis)
    return x


@rules.rule(ops.Slice)
def slice_rule(op: ops.Slice, x: Any) -> Any:
    parts = [slice(None)] * len(x.shape)
    for axis, start, stop, step in zip(op.axes, op.starts, op.stops, op.steps, strict=True):
        parts[axis] = slice(start, stop, step)
    return x[tuple(parts)]


@rules.rule(ops.Tile)
def tile(op: ops.Tile, x: Any) -> Any:
    return K.tile(x, op.repeats)


@rules.rule(ops.Gather)
def gather(op: ops.Gather, x: Any, indices: Any) -> Any:
    return K.take(x, indices, axis=op.axis)
