"""Ops that move elements and do not compute."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np

from dagir import ops
from dagir.ir.dims import SymbolicDim
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.rules import rules
from dagir_onnx.views import Axes

_END = np.iinfo(np.int64).max
_Cut: TypeAlias = tuple[int, int | None, int]


@rules.rule(ops.Reshape)
def reshape(op: ops.Reshape, emit: Emitter, x: Tensor) -> Tensor:
    """One size that is not known when the file is written becomes -1; further ones are computed at run time."""
    target = list(emit.outputs[0].type.shape)
    unknown = [axis for axis, size in enumerate(target) if isinstance(size, SymbolicDim)]
    if x.is_initializer and not unknown:  # a weight is reshaped when the file is written
        how = "reshaped" + "x".join(map(str, target))
        return emit.derived(x, how, lambda array: array.reshape(target), emit.outputs[0].type)
    if len(unknown) == 1 and 0 not in target:
        target[unknown[0]] = -1
        unknown = []
    moved = any(x.type.shape[axis : axis + 1] != (target[axis],) for axis in unknown)  # a 0 would copy another size
    return emit("Reshape", x, emit.shape_tensor(target), allowzero=1 if moved or 0 in target else None)


@rules.rule(ops.Transpose)
def transpose(op: ops.Transpose, emit: Emitter, x: Tensor) -> Tensor:
    if not op.axes:
        return emit("Identity", x)
    made: Tensor = emit("Transpose", x, perm=list(op.axes))
    permuted = x.permuted
    if permuted is None:
        return made

    def again(axes: Axes) -> Tensor:
        moved = tuple(None if axis is None else op.axes[axis] for axis in axes)
        return x if moved == tuple(range(len(op.axes))) else permuted(moved)

    return replace(made, permuted=again)


@rules.rule(ops.ExpandDims)
def expand_dims(op: ops.ExpandDims, emit: Emitter, x: Tensor) -> Tensor:
    return emit("Unsqueeze", x, emit.ints(op.axis))


@rules.rule(ops.Squeeze)
def squeeze(op: ops.Squeeze, emit: Emitter, x: Tensor) -> Tensor:
    return emit("Squeeze", x, emit.ints(*op.axes)) if op.axes else x  # an empty list would mean all axes of size 1


@rules.rule(ops.BroadcastTo)
def broadcast_to(op: ops.BroadcastTo, emit: Emitter, x: Tensor) -> Tensor:
    return emit("Expand", x, emit.shape_tensor(op.target))


@rules.rule(ops.Concatenate)
def concatenate(op: ops.Concatenate, emit: Emitter, *xs: Tensor) -> Tensor:
    return emit("Concat", *xs, axis=op.axis)


@rules.rule(ops.Pad)
def pad(op: ops.Pad, emit: Emitter, x: Tensor) -> Tensor:
    if op.mode == "symmetric":
        return _symmetric(op, emit, x)
    pads = [before for before, _ in op.pads] + [after for _, after in op.pads]
    value = emit.constant(op.value, x.type.dtype) if op.mode == "constant" and op.value else None
    return emit("Pad", x, emit.ints(*pads), value, mode=op.mode)


def _symmetric(op: ops.Pad, emit: Emitter, x: Tensor) -> Tensor:
    """By concatenation of mirrored borders: ONNX has no mode that repeats the edge."""
    for axis, (before, after) in enumerate(op.pads):
        parts = [_mirrored(emit, x, axis, before - 1, -_END)] if before else []
        parts.append(x)
        if after:
            parts.append(_mirrored(emit, x, axis, -1, -after - 1))
        if len(parts) > 1:
            x = emit("Concat", *parts, axis=axis)
    return x


def _mirrored(emit: Emitter, x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    return emit("Slice", x, emit.ints(start), emit.ints(stop), emit.ints(axis), emit.ints(-1))


@rules.rule(ops.Slice)
def slice_rule(op: ops.Slice, emit: Emitter, x: Tensor) -> Tensor:
    x, cuts = _cut_before_stepping_back(op, emit, x)
    starts, stops, steps = zip(*cuts, strict=True)
    ends = [(_END if step > 0 else -_END) if stop is None else stop for stop, step in zip(stops, steps, strict=True)]
    return emit("Slice", x, emit.ints(*starts), emit.ints(*ends), emit.ints(*op.axes), emit.ints(*steps))


def _cut_before_stepping_back(op: ops.Slice, emit: Emitter, x: Tensor) -> tuple[Tensor, list[_Cut]]:
    """A step below 0 from a start before the first element: ONNX moves it to 0, and Python takes no element.

    So x[-3::-1] becomes x[:-2][::-1]: the end is cut off, and the rest is read from its own end.
    """
    cuts: list[_Cut] = []
    for axis, start, stop, step in zip(op.axes, op.starts, op.stops, op.steps, strict=True):
        if step > 0 or start >= -1:
            cuts.append((start, stop, step))
            continue
        beyond = start + 1
        x = emit("Slice", x, emit.ints(0), emit.ints(beyond), emit.ints(axis))
        cuts.append((-1, min(stop - beyond, -1) if stop is not None and stop < 0 else stop, step))
    return x, cuts


@rules.rule(ops.Tile)
def tile(op: ops.Tile, emit: Emitter, x: Tensor) -> Tensor:
    return emit("Tile", x, emit.ints(*op.repeats))


@rules.rule(ops.Gather)
def gather(op: ops.Gather, emit: Emitter, x: Tensor, indices: Tensor) -> Tensor:
    return emit("Gather", x, indices, axis=op.axis)
