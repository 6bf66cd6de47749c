"""Regions of images."""

from __future__ import annotations

from dagir import ops
from dagir.errors import UnsupportedOp
from dagir.ir.types import DType
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.integers import cast
from dagir_onnx.layout import channels_back, channels_first
from dagir_onnx.rules import rules

_LAST_OPSET = 21
"""The newest opset of whose RoiAlign and MaxRoiPool onnxruntime 1.32 has kernels."""


@rules.rule(ops.RoiAlign)
def roi_align(op: ops.RoiAlign, emit: Emitter, x: Tensor, rois: Tensor, numbers: Tensor) -> Tensor:
    _require_kernel(emit, "RoiAlign")
    dtype = x.type.dtype
    wide = DType.FLOAT64 if DType.FLOAT64 in (dtype, rois.type.dtype) else DType.FLOAT32
    x, rois = cast(emit, channels_first(op, emit, x), wide), cast(emit, rois, wide)
    found = emit(
        "RoiAlign",
        x,
        rois,
        cast(emit, numbers, DType.INT64),
        type=x.type.with_shape((rois.type.shape[0], x.type.shape[1], *op.output_size)),
        mode=op.mode,
        output_height=op.output_size[0],
        output_width=op.output_size[1],
        sampling_ratio=op.sampling_ratio,
        spatial_scale=float(op.spatial_scale),
        coordinate_transformation_mode="half_pixel" if op.half_pixel else "output_half_pixel",
    )
    return channels_back(op, emit, cast(emit, found, dtype))


@rules.rule(ops.RoiMaxPool)
def roi_max_pool(op: ops.RoiMaxPool, emit: Emitter, x: Tensor, rois: Tensor, numbers: Tensor) -> Tensor:
    """The number of the image is the first column of the regions."""
    _require_kernel(emit, "MaxRoiPool")
    dtype = x.type.dtype
    x = cast(emit, channels_first(op, emit, x), DType.FLOAT32)
    column = emit("Unsqueeze", cast(emit, numbers, DType.FLOAT32), emit.ints(1))
    regions = emit("Concat", column, cast(emit, rois, DType.FLOAT32), axis=1)
    found = emit(
        "MaxRoiPool",
        x,
        regions,
        type=x.type.with_shape((rois.type.shape[0], x.type.shape[1], *op.output_size)),
        pooled_shape=op.output_size,
        spatial_scale=float(op.spatial_scale),
    )
    return channels_back(op, emit, cast(emit, found, dtype))


def _require_kernel(emit: Emitter, op: str) -> None:
    if emit.opset > _LAST_OPSET:
        raise UnsupportedOp(
            f"onnxruntime has no kernel for {op} of opset {emit.opset}", remedy=f"ask for opset={_LAST_OPSET}"
        )
