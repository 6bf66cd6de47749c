"""Regions of images: RoiAlign, MaxRoiPool."""

from __future__ import annotations

from dagir import ops
from dagir.ir.graph import Value, apply
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule


@rule("RoiAlign")
def _roi_align(call: NodeCall) -> Value:
    """Before opset 16, elements have their centres at whole numbers."""
    default = "half_pixel" if call.version >= 16 else "output_half_pixel"
    how = call.attribute("coordinate_transformation_mode", default)
    if how not in ("half_pixel", "output_half_pixel"):
        raise call.refused(f"its coordinate_transformation_mode {how!r} is none that ONNX has")
    op = ops.RoiAlign(
        (call.attribute("output_height", 1), call.attribute("output_width", 1)),
        call.attribute("spatial_scale", 1.0),
        call.attribute("mode", "avg").lower(),
        call.attribute("sampling_ratio", 0),
        how == "half_pixel",
        "channels_first",
    )
    return apply(op, call.input(0), call.input(1), call.input(2))


@rule("MaxRoiPool")
def _max_roi_pool(call: NodeCall) -> Value:
    """The first column of the regions is the number of the image."""
    rows = call.input(1)
    high, wide = call.attribute("pooled_shape")
    op = ops.RoiMaxPool((high, wide), call.attribute("spatial_scale", 1.0), "channels_first")
    return apply(op, call.input(0), rows[:, 1:], ops.cast(rows[:, 0], "int64"))
