"""Resizing."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.dims import Dim
from dagir.errors import UnsupportedOp
from dagir.types import DType
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.rules import rules

_RESIZED = (DType.FLOAT32, DType.FLOAT16, DType.INT32, DType.INT8, DType.UINT8)  # what onnxruntime has kernels for


@rules.rule(ops.UpSample)
def upsample(op: ops.UpSample, emit: Emitter, x: Tensor) -> Tensor:
    if x.type.dtype not in _RESIZED:
        return _repeated(op, emit, x)
    factors = dict(zip(op.spatial_axes, op.factors, strict=True))
    scales = emit.constant([factors.get(axis, 1) for axis in range(x.type.rank)], np.float32)
    if op.interpolation == "bilinear":
        return emit("Resize", x, None, scales, mode="linear", coordinate_transformation_mode="half_pixel")
    at = "asymmetric"
    return emit("Resize", x, None, scales, mode="nearest", coordinate_transformation_mode=at, nearest_mode="floor")


def _repeated(op: ops.UpSample, emit: Emitter, x: Tensor) -> Tensor:
    """Without Resize: a new axis behind each spatial one, tiled, and merged with it."""
    if op.interpolation != "nearest":
        raise UnsupportedOp(
            f"onnxruntime interpolates no {x.type.dtype}", remedy="cast the input to float32 before upsampling"
        )
    new = [axis + i for i, axis in enumerate(op.spatial_axes, start=1)]
    repeats = [1] * (x.type.rank + len(new))
    for axis, factor in zip(new, op.factors, strict=True):
        repeats[axis] = factor
    tiled = emit("Tile", emit("Unsqueeze", x, emit.ints(*new)), emit.ints(*repeats))
    target: list[Dim] = list(emit.outputs[0].type.shape)
    return emit("Reshape", tiled, emit.shape_tensor(target))
