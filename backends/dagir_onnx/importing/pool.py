"""Pooling, in windows and over whole images, and its inverse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.graph import Value, apply, apply_node
from dagir_onnx.importing.data_shapes import entries_of, size_of
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.tensors import product
from dagir_onnx.importing.windows import Windows, windows_of

_PADDING = {"VALID": "valid", "SAME_UPPER": "same", "SAME_LOWER": "same_lower"}


def _windows(call: NodeCall, given: Value | None = None) -> tuple[Value, dict[str, Any]]:
    """The operand, by default the first input, and the fields that every op of pooling has."""
    x = call.input(0) if given is None else given
    windows = windows_of(call, x.ndim - 2)
    if windows.auto_pad.startswith("SAME") and any(map(_skips, windows.strides, windows.extents)):
        x = _cropped(call, windows, x)
    padding: Any = _PADDING.get(windows.auto_pad)
    if padding is None:
        padding = windows.pads if any(map(any, windows.pads)) else "valid"
    ceil_mode = bool(call.attribute("ceil_mode", 0)) and not windows.auto_pad.startswith("SAME")
    fields = {
        "pool_size": windows.kernel,
        "strides": windows.strides,
        "padding": padding,
        "dilations": windows.dilations if any(step != 1 for step in windows.dilations) else None,
        "ceil_mode": ceil_mode,
    }
    return x, fields


def _skips(stride: int, extent: int) -> bool:
    """Whether so many elements lie between windows that SAME leaves some out at both ends."""
    return stride > extent + 1


def _cropped(call: NodeCall, windows: Windows, x: Value) -> Value:
    """The operand without what SAME leaves out at both ends, where the padding by its formula is negative."""
    pads = [(0, 0), (0, 0)]
    for size, stride, extent in zip(x.type.shape[2:], windows.strides, windows.extents, strict=True):
        if not isinstance(size, int):
            raise call.refused("its strides are longer than its windows, and a size is known at run time only")
        total = min((-(-size // stride) - 1) * stride + extent - size, 0)
        before = -(-total // 2) if windows.auto_pad == "SAME_UPPER" else -(max(-total - 1, 0) // 2)
        pads.append((before, total - before))
    return ops.pad(x, pads)


@rule("MaxPool")
def _max_pool(call: NodeCall) -> Sequence[Value]:
    x, fields = _windows(call)
    if not call.wants(1):
        return [apply(ops.MaxPool(**fields, data_format="channels_first"), x)]
    if x is not call.input(0):
        raise call.refused("it gives places, and its strides are longer than its windows with auto_pad")
    op = ops.MaxPoolWithIndices(**fields, column_major=bool(call.attribute("storage_order", 0)))
    return apply_node(op, (x,)).outputs


def largest_of(call: NodeCall, x: Value) -> Value:
    """The largest elements of the windows of x, channels first."""
    x, fields = _windows(call, x)
    return apply(ops.MaxPool(**fields, data_format="channels_first"), x)


@rule("AveragePool")
def _average_pool(call: NodeCall) -> Value:
    return average_of(call, call.input(0))


def average_of(call: NodeCall, x: Value) -> Value:
    """The means of the windows of x, channels first."""
    x, fields = _windows(call, x)
    counts = bool(call.attribute("count_include_pad", 0))
    return apply(ops.AveragePool(**fields, data_format="channels_first", count_include_pad=counts), x)


@rule("LpPool")
def _lp_pool(call: NodeCall) -> Value:
    x, fields = _windows(call)
    return apply(ops.LpPool(**fields, data_format="channels_first", p=int(call.attribute("p", 2))), x)


def _spatial(x: Value) -> list[int]:
    return list(range(2, x.ndim))


@rule("GlobalAveragePool")
def _global_average_pool(call: NodeCall) -> Value:
    x = call.input(0)
    return ops.mean(x, _spatial(x), keepdims=True) if x.ndim > 2 else x


@rule("GlobalMaxPool")
def _global_max_pool(call: NodeCall) -> Value:
    x = call.input(0)
    return ops.max(x, _spatial(x), keepdims=True) if x.ndim > 2 else x


@rule("GlobalLpPool")
def _global_lp_pool(call: NodeCall) -> Value:
    x, p = call.input(0), int(call.attribute("p", 2))
    sums = ops.sum(ops.power(ops.absolute(x), float(p)), _spatial(x), keepdims=True)
    return ops.power(sums, 1 / p)


@rule("MaxUnpool")
def _max_unpool(call: NodeCall) -> Value:
    """Each element at its place in zeros. Places count the elements of the shape that the windows give."""
    x, places = call.input(0), call.input(1)
    windows = windows_of(call, x.ndim - 2)
    every = zip(x.type.shape[2:], windows.strides, windows.kernel, windows.pads, strict=True)
    sizes: list[Dim] = [(size - 1) * stride + kernel - sum(pair) for size, stride, kernel, pair in every]
    shape = (*x.type.shape[:2], *sizes)
    count = product(x.type.shape)
    zeros = ops.zeros((product(shape),), x.dtype)
    indices = ops.reshape(places, (count, 1))
    found = ops.reshape(ops.scatter_update(zeros, indices, ops.reshape(x, (count,))), shape)
    if call.tensor(2) is None:
        return found
    given = call.tensor(2)
    assert given is not None
    wanted = [size_of(each) for each in entries_of(call, given, "output_shape")]
    if len(wanted) != len(shape):
        raise call.refused(f"its output_shape has {len(wanted)} sizes, and x has {len(shape)} axes")
    return ops.pad(found, tuple((0, new - old) for new, old in zip(wanted, shape, strict=True)))
