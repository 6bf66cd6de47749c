"""Convolutions, and what is made of the columns of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.graph import Value, apply
from dagir_onnx.importing.known_arrays import known_array
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.tensors import constant
from dagir_onnx.importing.windows import Windows, padded, windows_of

_FIRST = "channels_first"


def _kernel(call: NodeCall) -> Value:
    """The kernel with the filters last, as dagir's convolutions take it."""
    given = call.tensor(1)  # call.input(1) would be a read of the stored layout, beside the one that is taken
    if not isinstance(given, Value):
        raise call.refused("it has no kernel")
    order = (*range(2, given.ndim), 1, 0)
    node = given.node
    if node is None or not isinstance(node.op, ops.DequantizeLinear):
        return call.rearranged(1, order)
    codes, *factors = node.inputs
    stored = None if codes is None else known_array(codes)
    if stored is None:
        return call.rearranged(1, order)
    if node.op.block_size:
        factors = [each if each is None else ops.transpose(each, order) for each in factors]
    axis = None if node.op.axis is None else order.index(node.op.axis % given.ndim)
    return apply(replace(node.op, axis=axis), constant(np.ascontiguousarray(stored.transpose(order))), *factors)


def _sizes(call: NodeCall, w: Value) -> list[int]:
    sizes = [size for size in w.type.shape[:-2] if isinstance(size, int)]
    if len(sizes) != w.ndim - 2:
        raise call.refused("its kernel has sizes that are known at run time only")
    return sizes


@rule("Conv")
def convolution(call: NodeCall) -> Value:
    """A convolution of floats."""
    return convolution_of(call, call.input(0))


def convolution_of(call: NodeCall, x: Value) -> Value:
    """The same, of x, channels first."""
    w = _kernel(call)
    windows = windows_of(call, x.ndim - 2, _sizes(call, w))
    x, padding = padded(windows, x)
    op = ops.Conv(windows.strides, padding, windows.dilations, call.attribute("group", 1), _FIRST)
    return apply(op, x, w, call.weight(2))


@rule("ConvTranspose")
def _conv_transpose(call: NodeCall) -> Value:
    x, w = call.input(0), _kernel(call)
    windows = windows_of(call, x.ndim - 2, _sizes(call, w))
    extra = tuple(call.attribute("output_padding", [0] * windows.rank))
    pads = _crops(call, windows, x.type.shape[2:], extra)
    reach = tuple(map(max, windows.strides, windows.dilations))
    inside = all(low >= 0 and high >= 0 for low, high in pads)
    fits = all(0 <= size < limit for size, limit in zip(extra, reach, strict=True))
    groups = call.attribute("group", 1)
    if inside and fits:
        op = ops.ConvTranspose(windows.strides, pads, windows.dilations, groups, _FIRST, extra)
        return apply(op, x, w, call.weight(2))
    op = ops.ConvTranspose(
        windows.strides, ((0, 0),) * windows.rank, windows.dilations, groups, _FIRST, (0,) * windows.rank
    )
    widths = [(-low, more - high) for (low, high), more in zip(pads, extra, strict=True)]
    found = ops.pad(apply(op, x, w), ((0, 0), (0, 0), *widths))
    bias = call.weight(2)
    return found if bias is None else ops.add(found, ops.reshape(bias, (1, -1, *(1,) * windows.rank)))


def _crops(call: NodeCall, windows: Windows, sizes: Sequence[Dim], extra: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """What is cut off of the whole result on each axis, by pads, by auto_pad, or by an output_shape."""
    wanted: Sequence[int] | None = call.attribute("output_shape")
    if not wanted and windows.auto_pad in ("NOTSET", "VALID"):
        return windows.pads
    if wanted and len(wanted) == windows.rank + 2:
        wanted = wanted[2:]
    found = []
    for i, (size, stride, extent) in enumerate(zip(sizes, windows.strides, windows.extents, strict=True)):
        target = wanted[i] if wanted else size * stride
        total = (size - 1) * stride + extra[i] + extent - target
        if not isinstance(total, int):
            raise call.refused("its output_shape is given, and a size of its input is known at run time only")
        if total < 0:  # onnxruntime appends zeros for an output_shape, and takes auto_pad for no padding
            found.append((0, total if wanted else 0))
            continue
        small, large = total // 2, total - total // 2
        found.append((small, large) if windows.auto_pad == "SAME_UPPER" else (large, small))
    return tuple(found)
