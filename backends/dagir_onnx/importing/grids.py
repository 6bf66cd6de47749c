"""Sampling at places that the data give: GridSample, DeformConv."""

from __future__ import annotations

from dagir import ops
from dagir.ir.graph import Value, apply
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.windows import windows_of

_MODES = {"bilinear": "linear", "bicubic": "cubic"}


@rule("GridSample")
@rule("GridSample", domain="com.microsoft")
def _grid_sample(call: NodeCall) -> Value:
    """Modes have other names from opset 20 on."""
    x, grid = call.input(0), call.input(1)
    if not x.dtype.is_float:
        raise call.refused(f"it samples {x.dtype}", "cast its input to float32")
    mode = call.attribute("mode", "linear")
    padding = call.attribute("padding_mode", "zeros")
    op = ops.GridSample(_MODES.get(mode, mode), padding, bool(call.attribute("align_corners", 0)), "channels_first")
    return apply(op, x, grid)


@rule("DeformConv")
def _deform_conv(call: NodeCall) -> Value:
    x = call.input(0)
    if x.ndim != 4:
        raise call.refused(f"it convolves {x.ndim - 2} axes, and dagir two")
    w = call.rearranged(1, (2, 3, 1, 0))
    windows = windows_of(call, 2, [size for size in w.type.shape[:2] if isinstance(size, int)])
    groups, apart = call.attribute("group", 1), call.attribute("offset_group", 1)
    op = ops.DeformConv(windows.strides, windows.pads, windows.dilations, groups, apart, "channels_first")  # type: ignore[arg-type]  # pairs
    return apply(op, x, w, call.input(2), call.weight(3), call.optional(4))
