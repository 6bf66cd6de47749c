"""Functions that move elements, composed of the ops that do: splitting, joining, repeating, rolling, turning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.graph import Operand, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.types import DType, fixed, normalize_axis
from dagir.ops.arithmetic import floor_divide, mod, subtract
from dagir.ops.counts import count_from
from dagir.ops.creation import arange, full
from dagir.ops.reduce import sum as reduce_sum
from dagir.ops.shape import (
    Tile,
    broadcast_to,
    concatenate,
    expand_dims,
    flip,
    reshape,
    take,
    transpose,
)
from dagir.ops.splitting import cut

__all__ = [
    "append",
    "depth_to_space",
    "dstack",
    "fliplr",
    "flipud",
    "hstack",
    "meshgrid",
    "moveaxis",
    "ndim",
    "ravel",
    "repeat",
    "roll",
    "rot90",
    "size",
    "space_to_depth",
    "swapaxes",
    "unravel_index",
    "vstack",
]


def ndim(x: Operand) -> int:
    """The number of axes.

    >>> ops.ndim(dagir.Input((4, 3)))
    3
    """
    return as_value(x).ndim


def size(x: Operand) -> Dim:
    """The number of elements: an int, or an expression of named sizes.

    >>> ops.size(dagir.Input((4, 3)))
    12*batch
    """
    total: Dim = 1
    for length in as_value(x).type.shape:
        total = total * length
    return total


def ravel(x: Operand) -> Value:
    """All elements in one axis.

    >>> show(ops.ravel([[1, 2], [3, 4]]))
    [1, 2, 3, 4]
    """
    return reshape(x, (-1,))


def swapaxes(x: Operand, axis1: int, axis2: int) -> Value:
    """Two axes exchanged.

    axis1, axis2: the two.

    >>> show(ops.swapaxes([[1, 2, 3]], 0, 1))
    [[1], [2], [3]]
    """
    value = as_value(x)
    order = list(range(value.ndim))
    first, second = normalize_axis(axis1, value.ndim), normalize_axis(axis2, value.ndim)
    order[first], order[second] = second, first
    return transpose(value, order)


def moveaxis(x: Operand, source: int | Sequence[int], destination: int | Sequence[int]) -> Value:
    """Axes moved to other places, the others staying in their order.

    source, destination: an axis and its new place, or as many of both.

    >>> ops.moveaxis(dagir.Input((4, 3, 2)), -1, 1)
    <Value transpose float32[batch, 2, 4, 3]>
    """
    value = as_value(x)
    pairs = [[axes] if isinstance(axes, int) else list(axes) for axes in (source, destination)]
    sources, targets = ([normalize_axis(axis, value.ndim) for axis in axes] for axes in pairs)
    if len(sources) != len(targets) or len(set(sources)) != len(sources) or len(set(targets)) != len(targets):
        raise ArgumentError(f"moveaxis takes as many places as axes, each once, got {source!r} and {destination!r}")
    order = [axis for axis in range(value.ndim) if axis not in sources]
    for target, axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, axis)
    return transpose(value, order)


def fliplr(x: Operand) -> Value:
    """The second axis in reverse order.

    >>> show(ops.fliplr([[1, 2], [3, 4]]))
    [[2, 1], [4, 3]]
    """
    return flip(x, axis=1)


def flipud(x: Operand) -> Value:
    """The first axis in reverse order.

    >>> show(ops.flipud([[1, 2], [3, 4]]))
    [[3, 4], [1, 2]]
    """
    return flip(x, axis=0)


def rot90(array: Operand, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Value:
    """x rotated by k right angles, from the first of the axes towards the second.

    array: of rank 2 or more.

    >>> show(ops.rot90([[1, 2], [3, 4]]))
    [[2, 4], [1, 3]]
    """
    value = as_value(array)
    first, second = (normalize_axis(axis, value.ndim) for axis in axes)
    if first == second:
        raise ArgumentError(f"rot90 turns within two axes, got {axes!r}")
    turns = k % 4
    if turns == 0:
        return value
    if turns == 2:
        return flip(value, (first, second))
    if turns == 1:
        return swapaxes(flip(value, second), first, second)
    return flip(swapaxes(value, first, second), second)


def _at_least(x: Operand, rank: int) -> Value:
    """As numpy.atleast_2d and atleast_3d: a vector becomes a row, a matrix gets a last axis."""
    value = as_value(x)
    if value.ndim == 0 < rank:
        value = reshape(value, (1,))
    if value.ndim == 1 < rank:
        value = expand_dims(value, 0)
    return expand_dims(value, 2) if value.ndim == 2 < rank else value


def hstack(xs: Sequence[Operand]) -> Value:
    """Values joined along the second axis; vectors along their only one.

    >>> show(ops.hstack(([1, 2], [3])))
    [1, 2, 3]
    """
    values = [_at_least(x, 1) for x in xs]
    return concatenate(values, axis=0 if values[0].ndim == 1 else 1)


def vstack(xs: Sequence[Operand]) -> Value:
    """Values joined along the first axis; a vector counts as a row.

    >>> show(ops.vstack(([1, 2], [3, 4])))
    [[1, 2], [3, 4]]
    """
    return concatenate([_at_least(x, 2) for x in xs], axis=0)


def dstack(xs: Sequence[Operand]) -> Value:
    """Values joined along the third axis.

    >>> show(ops.dstack(([1, 2], [3, 4])))
    [[[1, 3], [2, 4]]]
    """
    return concatenate([_at_least(x, 3) for x in xs], axis=2)


def append(x1: Operand, x2: Operand, axis: int | None = None) -> Value:
    """x2 after x1 along the axis; both flattened where axis is None.

    >>> show(ops.append([1, 2], [3]))
    [1, 2, 3]
    """
    if axis is None:
        return concatenate([ravel(x1), ravel(x2)], axis=0)
    return concatenate([x1, x2], axis=axis)


def repeat(x: Operand, repeats: Dim | Sequence[int], axis: int | None = None) -> Value:
    """Each entry of the axis several times in a row, a named size perhaps; of x flattened where axis is None.

    repeats: how often; an int, a named size, or one int for each entry.

    >>> show(ops.repeat([1, 2], 3))
    [1, 1, 1, 2, 2, 2]
    """
    value = ravel(x) if axis is None else as_value(x)
    place = normalize_axis(axis or 0, value.ndim)
    length = value.type.shape[place]
    if isinstance(repeats, SymbolicDim):
        return _repeated(value, repeats, place)
    counts = [fixed(count_from("repeat", "repeats", n)) for n in np.asarray(repeats).reshape(-1)]
    if len(counts) > 1:
        if length != len(counts):
            raise ShapeError(f"repeat takes a count for each of the {length} entries of axis {place}, or one for all")
        return take(value, np.repeat(np.arange(len(counts), dtype=np.int32), counts), axis=place)
    wide = expand_dims(value, place + 1)
    tiled = apply(Tile(tuple(counts[0] if axis == place + 1 else 1 for axis in range(wide.ndim))), wide)
    shape = value.type.shape
    return reshape(tiled, (*shape[:place], length * counts[0], *shape[place + 1 :]))


def _repeated(value: Value, count: Dim, place: int) -> Value:
    shape = value.type.shape
    wide = broadcast_to(expand_dims(value, place + 1), (*shape[: place + 1], count, *shape[place + 1 :]))
    return reshape(wide, (*shape[:place], shape[place] * count, *shape[place + 1 :]))


def roll(x: Operand, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Value:
    """Entries shifted along the axis; those beyond the end come first. x is flattened if axis is None.

    shift: how far; one int for each axis where there are several.

    >>> show(ops.roll([1, 2, 3, 4], 1))
    [4, 1, 2, 3]
    """
    value = as_value(x)
    if axis is None:
        return reshape(_rolled(ravel(value), int(np.sum(shift)), 0), value.type.shape)
    axes = [axis] if isinstance(axis, int) else list(axis)
    shifts = [int(n) for n in np.broadcast_to(np.asarray(shift), (len(axes),))]
    for place, step in zip(axes, shifts, strict=True):
        value = _rolled(value, step, normalize_axis(place, value.ndim))
    return value


def _rolled(value: Value, shift: int, axis: int) -> Value:
    length = value.type.shape[axis]
    if not isinstance(length, int):  # the source of each entry, modulo the size at run time
        places = arange(length)
        count = reduce_sum(full((length,), 1, DType.INT32))
        return take(value, mod(subtract(places, shift), count), axis=axis)
    step = shift % length if length else 0
    if not step:
        return value
    return concatenate(cut(value, [length - step], axis)[::-1], axis=axis)


def unravel_index(indices: Operand, shape: Sequence[int]) -> tuple[Value, ...]:
    """For each position in a flattened array, its index on each axis of the shape.

    indices: integers.

    >>> show(*ops.unravel_index([5], (2, 3)))
    [1]
    [2]
    """
    rest = as_value(indices)
    found: list[Value] = []
    for length in reversed([int(n) for n in shape]):
        found.insert(0, mod(rest, length))
        rest = floor_divide(rest, length)
    return tuple(found)


def meshgrid(*x: Operand, indexing: str = "xy") -> list[Value]:
    """For each vector, its values along its own axis, repeated along the axes of the others.

    indexing: "ij" for axes in the order of the vectors; "xy" exchanges the first two axes.

    >>> show(*ops.meshgrid([1, 2], [3, 4]))
    [[1, 2], [1, 2]]
    [[3, 3], [4, 4]]
    """
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f"indexing is 'xy' or 'ij', got {indexing!r}")
    values = [ravel(part) for part in x]
    order = list(range(len(values)))
    if indexing == "xy" and len(values) > 1:
        order[:2] = [1, 0]
    sizes: list[Dim] = [0] * len(values)
    for place, value in zip(order, values, strict=True):
        sizes[place] = value.type.shape[0]
    found = []
    for place, value in zip(order, values, strict=True):
        shape = [sizes[place] if axis == place else 1 for axis in range(len(values))]
        found.append(broadcast_to(reshape(value, shape), sizes))
    return found


def depth_to_space(x: Operand, block_size: int, data_format: str = "channels_last") -> Value:
    """[n, h, w, b*b*c] -> [n, h*b, w*b, c]: channels become blocks of pixels; the position in the block comes first.

    block_size: b.

    >>> ops.depth_to_space(dagir.Input((4, 4, 12)), 2)
    <Value reshape float32[batch, 8, 8, 3]>
    """
    value = moveaxis(x, 1, -1) if data_format == "channels_first" else as_value(x)
    batch, height, width, channels = value.type.shape
    b = int(block_size)
    blocks = reshape(value, (batch, height, width, b, b, channels // (b * b)))
    placed = transpose(blocks, (0, 1, 3, 2, 4, 5))
    found = reshape(placed, (batch, height * b, width * b, channels // (b * b)))
    return moveaxis(found, -1, 1) if data_format == "channels_first" else found


def space_to_depth(x: Operand, block_size: int, data_format: str = "channels_last") -> Value:
    """[n, h, w, c] -> [n, h/b, w/b, b*b*c]: blocks of pixels become channels; the position in the block comes first.

    block_size: b, which divides h and w.

    >>> ops.space_to_depth(dagir.Input((8, 8, 3)), 2)
    <Value reshape float32[batch, 4, 4, 12]>
    """
    value = moveaxis(x, 1, -1) if data_format == "channels_first" else as_value(x)
    batch, height, width, channels = value.type.shape
    b = int(block_size)
    blocks = transpose(reshape(value, (batch, height // b, b, width // b, b, channels)), (0, 1, 3, 2, 4, 5))
    found = reshape(blocks, (batch, height // b, width // b, channels * b * b))
    return moveaxis(found, -1, 1) if data_format == "channels_first" else found
