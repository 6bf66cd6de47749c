"""Sampling at places that the data give: elements around each place are taken, weighted and added."""

from __future__ import annotations

from itertools import product
from typing import Any

from keras import backend
from keras import ops as K

from dagir import ops
from dagir.ir.dims import SymbolicDim
from dagir.ir.graph import Node
from dagir.ops.grids import CUBIC_COEFFICIENT
from dagir_keras.rules import rules


def needs_layer(node: Node) -> bool:
    """Whether the rule can run only within a Keras layer: it asks for sizes that a KerasTensor may not know."""
    if not isinstance(node.op, (ops.GridSample, ops.DeformConv)):
        return False
    shapes = [value.type.shape[1:] for value in node.inputs if value is not None]
    return any(isinstance(size, SymbolicDim) for shape in shapes for size in shape)


@rules.rule(ops.GridSample)
def grid_sample(op: ops.GridSample, x: Any, grid: Any) -> Any:
    dtype = backend.standardize_dtype(x.dtype)
    x, grid = K.cast(x, _wide(dtype)), K.cast(grid, _wide(dtype))
    x = x if op.data_format == "channels_last" else K.moveaxis(x, 1, -1)
    _, *sizes, channels = K.shape(x)
    outer = K.shape(grid)[1:-1]
    flat = K.reshape(grid, (-1, _product(outer), len(sizes)))
    places = []
    for axis, size in enumerate(sizes):
        at, length = flat[..., len(sizes) - 1 - axis], K.cast(size, grid.dtype)
        places.append((at + 1) / 2 * (length - 1) if op.align_corners else ((at + 1) * length - 1) / 2)
    found = K.cast(K.reshape(_sampled(op, x, places), (-1, *outer, channels)), dtype)
    return found if op.data_format == "channels_last" else K.moveaxis(found, -1, 1)


def _wide(dtype: str) -> str:
    return dtype if dtype == "float64" else "float32"


def _product(sizes: Any) -> Any:
    total: Any = 1
    for size in sizes:
        total = total * size
    return total


def _sampled(op: ops.GridSample, x: Any, places: list[Any]) -> Any:
    """f[n, p, c]: x, with its channels last, at places f[n, p] on each of its axes."""
    _, *sizes, channels = K.shape(x)
    flat = K.reshape(x, (-1, _product(sizes), channels))
    total: Any = None
    for taps in product(*(_taps(op, at, size) for at, size in zip(places, sizes, strict=True))):
        index: Any = None
        weight: Any = None
        for (number, share), size in zip(taps, sizes, strict=True):
            index = number if index is None else index * size + number
            weight = share if weight is None else weight * share
        part = K.take_along_axis(flat, K.expand_dims(index, -1), axis=1) * K.expand_dims(weight, -1)
        total = part if total is None else total + part
    return total


def _taps(op: ops.GridSample, at: Any, size: Any) -> list[tuple[Any, Any]]:
    """The elements of an axis around each place, and what each of them weighs.

    Places are moved inside before their elements are taken, but for cubic, as in PyTorch and onnxruntime.
    """
    last = K.cast(size, at.dtype) - 1
    if op.mode == "nearest":
        at = K.round(at)
    if op.mode != "cubic":
        at = _inside(op, at, last)
    if op.padding_mode != "reflection":
        at = between(at, -4.0, last + 4)
    first = K.floor(at)
    t = at - first
    if op.mode == "nearest":
        shares = {0: K.ones_like(t)}
    elif op.mode == "linear":
        shares = {0: 1 - t, 1: t}
    else:
        shares = {tap: _cubic(K.absolute(t - tap)) for tap in (-1, 0, 1, 2)}
    found = []
    for tap, share in shares.items():
        number = first + tap
        beyond = K.logical_or(number < 0, number > last)
        inside = K.trunc(_inside(op, number, last))
        counted = K.where(beyond, K.zeros_like(share), share) if op.padding_mode == "zeros" else share
        found.append((K.cast(between(inside, 0, last), "int32"), counted))
    return found


def between(x: Any, low: Any, high: Any) -> Any:
    """K.clip, whose operation cannot be saved where a bound is a tensor."""
    return K.minimum(K.maximum(x, low), high)


def _inside(op: ops.GridSample, at: Any, last: Any) -> Any:
    """Places that are outside, moved to the border, or mirrored at it as often as it takes."""
    if op.padding_mode == "border":
        return between(at, 0, last)
    if op.padding_mode == "zeros":
        return at
    low, high = (0 * last, last) if op.align_corners else (0 * last - 0.5, last + 0.5)
    turn = K.maximum(2 * (high - low), 1e-30)
    around = K.mod(at - low, turn)
    mirrored = low + K.minimum(around, turn - around)
    return K.where(K.logical_or(at < low, at > high), mirrored, at)


def _cubic(t: Any) -> Any:
    """Keys's kernel."""
    a = CUBIC_COEFFICIENT
    near, far = ((a + 2) * t - (a + 3)) * t * t + 1, ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return K.where(t <= 1, near, far)


@rules.rule(ops.DeformConv)
def deform_conv(op: ops.DeformConv, x: Any, w: Any, offset: Any, b: Any = None, mask: Any = None) -> Any:
    """The points of the kernel, sampled for each group of offsets; then one matrix product for each group."""
    dtype = backend.standardize_dtype(x.dtype)
    x, offset = K.cast(x, _wide(dtype)), K.cast(offset, _wide(dtype))
    x = x if op.data_format == "channels_last" else K.moveaxis(x, 1, -1)
    rows, columns, inner, out = w.shape
    height, width, channels = K.shape(x)[1:]
    high, wide = K.shape(offset)[2:]
    apart, points, spots = op.offset_groups, rows * columns, high * wide
    moves = K.reshape(offset, (-1, rows, columns, 2, high, wide))
    places = []
    for axis, (taps, count) in enumerate(((rows, high), (columns, wide))):
        starts = K.cast(K.arange(count), x.dtype) * op.strides[axis] - op.padding[axis][0]
        steps = K.reshape(K.cast(K.arange(taps), x.dtype) * op.dilations[axis], (-1, *(1,) * (3 - axis)))
        spread = K.subtract(steps, -(K.expand_dims(starts, 1) if axis == 0 else starts))
        at = K.subtract(moves[:, :, :, axis], -spread)  # Keras 3.15 adds [8, 1] to [8, 8] as if it were [8]
        places.append(K.reshape(at, (-1, points * spots)))
    grouped = K.moveaxis(K.reshape(x, (-1, height, width, apart, channels // apart)), 3, 1)
    grouped = K.reshape(grouped, (-1, height, width, channels // apart))
    values = K.reshape(_sampled(ops.GridSample(), grouped, places), (-1, apart, points, spots, channels // apart))
    if mask is not None:
        values = values * K.reshape(K.cast(mask, x.dtype), (-1, apart, points, spots, 1))
    whole = K.reshape(K.transpose(values, (0, 3, 2, 1, 4)), (-1, spots, points, op.groups, inner))
    kernel = K.reshape(K.cast(w, x.dtype), (points, inner, op.groups, out // op.groups))
    found = K.reshape(K.einsum("nskgi,kigo->nsgo", whole, kernel), (-1, high, wide, out))
    found = K.cast(found if b is None else found + K.cast(b, x.dtype), dtype)
    return found if op.data_format == "channels_last" else K.moveaxis(found, -1, 1)
