"""Sampling at places that the data give."""

from __future__ import annotations

from typing import Any

from dagir import ops
from dagir.errors import UnsupportedOp
from dagir.ir.types import DType
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.integers import cast
from dagir_onnx.layout import channels_back, channels_first
from dagir_onnx.rules import rules

_MANY_AXES_SINCE = 20
_DEFORMED_SINCE = 19
_OLD_NAMES = {"linear": "bilinear", "cubic": "bicubic"}


@rules.rule(ops.GridSample)
def grid_sample(op: ops.GridSample, emit: Emitter, x: Tensor, grid: Tensor) -> Tensor:
    rank, dtype = x.type.rank - 2, x.type.dtype
    if rank == 3 and emit.opset < _MANY_AXES_SINCE:
        raise _too_old("samples three axes", emit, _MANY_AXES_SINCE)
    if rank > 3 or (rank == 3 and op.mode == "cubic"):
        raise UnsupportedOp(f"onnxruntime samples no {rank} axes in mode {op.mode}", remedy="sample one axis by itself")
    wide = DType.FLOAT32
    if DType.FLOAT64 in (dtype, grid.type.dtype):
        wide = DType.FLOAT64 if emit.opset >= _MANY_AXES_SINCE else DType.FLOAT32
    x = cast(emit, channels_first(op, emit, x), wide)
    grid = cast(emit, grid, wide)
    if rank == 1:
        return channels_back(op, emit, cast(emit, _of_one_axis(op, emit, x, grid), dtype))
    kind = x.type.with_shape((*x.type.shape[:2], *grid.type.shape[1:-1]))
    found = emit("GridSample", x, grid, type=kind, **_attributes(op, emit))
    return channels_back(op, emit, cast(emit, found, dtype))


def _attributes(op: ops.GridSample, emit: Emitter) -> dict[str, Any]:
    mode = op.mode if emit.opset >= _MANY_AXES_SINCE else _OLD_NAMES.get(op.mode, op.mode)
    return {"mode": mode, "padding_mode": op.padding_mode, "align_corners": int(op.align_corners)}


def _of_one_axis(op: ops.GridSample, emit: Emitter, x: Tensor, grid: Tensor) -> Tensor:
    """As two axes, the first of them of size 1, at its centre: the numbers along it are 0."""
    flat = emit("Unsqueeze", x, emit.ints(2), type=x.type.with_shape((*x.type.shape[:2], 1, x.type.shape[2])))
    zeros = emit("Mul", grid, emit.constant(0, grid.type.dtype))
    pairs = emit("Concat", grid, zeros, axis=-1)
    outer = grid.type.shape[1:-1]
    rows = emit("Reshape", pairs, emit.ints(0, 1, -1, 2)) if len(outer) != 1 else emit("Unsqueeze", pairs, emit.ints(1))
    found = emit("GridSample", flat, rows, type=x.type, **_attributes(op, emit))
    shape = emit.shape_tensor((*x.type.shape[:2], *outer))
    result: Tensor = emit("Reshape", found, shape, type=x.type.with_shape((*x.type.shape[:2], *outer)))
    return result


@rules.rule(ops.DeformConv)
def deform_conv(
    op: ops.DeformConv,
    emit: Emitter,
    x: Tensor,
    w: Tensor,
    offset: Tensor,
    b: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    if emit.opset < _DEFORMED_SINCE:
        raise _too_old("has DeformConv", emit, _DEFORMED_SINCE)
    dtype = x.type.dtype
    wide = DType.FLOAT64 if dtype is DType.FLOAT64 else DType.FLOAT32
    given = [channels_first(op, emit, x), emit.transposed(w, (3, 2, 0, 1)), offset, b, mask]
    operands = [None if each is None else cast(emit, each, wide) for each in given]
    (top, bottom), (left, right) = op.padding
    found = emit(
        "DeformConv",
        *operands,
        type=offset.type.with_dtype(wide),
        kernel_shape=w.type.shape[:2],
        strides=op.strides,
        dilations=op.dilations,
        pads=[top, left, bottom, right],
        group=op.groups,
        offset_group=op.offset_groups,
    )
    return channels_back(op, emit, cast(emit, found, dtype))


def _too_old(what: str, emit: Emitter, since: int) -> UnsupportedOp:
    return UnsupportedOp(
        f"ONNX {what} from opset {since} on",
        remedy=f"ask for opset={since} or a newer one",
    )
