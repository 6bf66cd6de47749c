"""Blocks of images: Col2Im; and updates along an axis: TensorScatter."""

from __future__ import annotations

from itertools import product as tuples
from math import prod

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.graph import Value
from dagir.ir.types import DType, normalize_axis
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.shape import along
from dagir_onnx.importing.tensors import sized, value


@rule("Col2Im")
def _col2im(call: NodeCall) -> Value:
    """Columns of blocks, added where they stand in the image: the inverse of taking blocks out of it."""
    x, image, block = call.input(0), call.ints(1, "image_shape"), call.ints(2, "block_shape")
    rank = len(image)
    dilations = call.attribute("dilations", [1] * rank)
    strides = call.attribute("strides", [1] * rank)
    pads = call.attribute("pads", [0] * (2 * rank))
    padded = [image[i] + pads[i] + pads[rank + i] for i in range(rank)]
    counts = [(padded[i] - dilations[i] * (block[i] - 1) - 1) // strides[i] + 1 for i in range(rank)]
    batch, columns = x.type.shape[0], x.type.shape[1]
    channels = columns // prod(block)
    parts = ops.reshape(x, (batch, channels, prod(block), *counts))
    total: Value | None = None
    for number, place in enumerate(tuples(*map(range, block))):
        spread = _spread(parts[:, :, number], counts, strides)
        widths: list[tuple[Dim, Dim]] = [(0, 0), (0, 0)]
        for i in range(rank):
            before = place[i] * dilations[i]
            widths.append((before, padded[i] - before - (counts[i] - 1) * strides[i] - 1))
        moved = ops.pad(spread, widths)
        total = moved if total is None else ops.add(total, moved)
    if total is None:
        raise call.refused("its blocks have no elements")
    for i in range(rank):
        total = along(total, i + 2, pads[i], pads[i] + image[i])
    return total


def _spread(x: Value, counts: list[int], strides: list[int]) -> Value:
    """x with zeros between its elements along the spatial axes."""
    for i, stride in enumerate(strides):
        if stride > 1:
            axis = i + 2
            widths = [(0, 0)] * (axis + 1) + [(0, stride - 1)] + [(0, 0)] * (x.ndim - axis - 1)
            wide = ops.pad(ops.expand_dims(x, axis + 1), widths)
            shape = wide.type.shape
            flat = ops.reshape(wide, (*shape[:axis], counts[i] * stride, *shape[axis + 2 :]))
            x = along(flat, axis, 0, (counts[i] - 1) * stride + 1)
    return x


@rule("TensorScatter")
def _tensor_scatter(call: NodeCall) -> Value:
    """A cache with new entries along an axis, from an index of each sample on; in a ring with mode circular."""
    past, update = call.input(0), call.input(1)
    axis = normalize_axis(call.attribute("axis", -2), past.ndim)
    size, length = past.type.shape[axis], update.type.shape[axis]
    steps = ops.cast(ops.arange(size), "int64")
    shape = (-1, *(1,) * (past.ndim - 1))
    first = ops.zeros((1,), "int64") if call.tensor(2) is None else ops.cast(call.input(2), "int64")
    along_axis = ops.reshape(steps, [-1 if each == axis else 1 for each in range(past.ndim)])
    places = ops.subtract(along_axis, ops.reshape(first, shape))
    if call.attribute("mode", "linear") == "circular":
        places = ops.mod(places, _count(size))
    inside = ops.logical_and(ops.greater_equal(places, 0), ops.less(places, _count(length)))
    wanted = ops.where(inside, places, ops.zeros_like(places))
    rows = ops.broadcast_to(wanted, [s if each != axis else size for each, s in enumerate(past.type.shape)])
    return ops.where(inside, ops.take_along_axis(update, rows, axis), past)


def _count(size: Dim) -> Value:
    return value(sized(size, DType.INT64))
