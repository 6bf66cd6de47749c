"""Functions that move elements, composed of the ops that do: splitting, joining, repeating, rolling, turning."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.graph import Value, apply, as_value
from dagir.ir.types import DType, normalize_axis
from dagir.ops.arithmetic import floor_divide, mod, subtract
from dagir.ops.counts import count_from
from dagir.ops.creation import arange, full
from dagir.ops.reduce import sum as reduce_sum
from dagir.ops.shape import (
    Slice,
    Tile,
    broadcast_to,
    concatenate,
    expand_dims,
    flip,
    reshape,
    take,
    transpose,
)
from dagir.support import limits

__all__ = [
    "append",
    "array_split",
    "depth_to_space",
    "dsplit",
    "dstack",
    "fliplr",
    "flipud",
    "hsplit",
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
    "split",
    "swapaxes",
    "unravel_index",
    "unstack",
    "vsplit",
    "vstack",
]


_NODES_OF_A_PART = 32  # that each costs of the budget of a file: a few parts are asked for, not half a million


def ndim(x: Any) -> int:
    """The number of axes."""
    return as_value(x).ndim


def size(x: Any) -> Dim:
    """The number of elements: an int, or an expression of named sizes."""
    total: Dim = 1
    for length in as_value(x).type.shape:
        total = total * length
    return total


def ravel(x: Any) -> Value:
    """All elements in one axis."""
    return reshape(x, (-1,))


def swapaxes(x: Any, axis1: int, axis2: int) -> Value:
    """Two axes exchanged."""
    value = as_value(x)
    order = list(range(value.ndim))
    first, second = normalize_axis(axis1, value.ndim), normalize_axis(axis2, value.ndim)
    order[first], order[second] = second, first
    return transpose(value, order)


def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Value:
    """Axes moved to other places, the others staying in their order."""
    value = as_value(x)
    pairs = [[axes] if isinstance(axes, int) else list(axes) for axes in (source, destination)]
    sources, targets = ([normalize_axis(axis, value.ndim) for axis in axes] for axes in pairs)
    if len(sources) != len(targets) or len(set(sources)) != len(sources) or len(set(targets)) != len(targets):
        raise ArgumentError(f"moveaxis takes as many places as axes, each once, got {source!r} and {destination!r}")
    order = [axis for axis in range(value.ndim) if axis not in sources]
    for target, axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, axis)
    return transpose(value, order)


def fliplr(x: Any) -> Value:
    """The second axis in reverse order."""
    return flip(x, axis=1)


def flipud(x: Any) -> Value:
    """The first axis in reverse order."""
    return flip(x, axis=0)


def rot90(array: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Value:
    """Turned by k right angles, from the first of the axes towards the second."""
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


def _at_least(x: Any, rank: int) -> Value:
    """As numpy.atleast_2d and atleast_3d: a vector becomes a row, a matrix gets a last axis."""
    value = as_value(x)
    if value.ndim == 0 < rank:
        value = reshape(value, (1,))
    if value.ndim == 1 < rank:
        value = expand_dims(value, 0)
    return expand_dims(value, 2) if value.ndim == 2 < rank else value


def hstack(xs: Sequence[Any]) -> Value:
    """Joined along the second axis; vectors along their only one."""
    values = [_at_least(x, 1) for x in xs]
    return concatenate(values, axis=0 if values[0].ndim == 1 else 1)


def vstack(xs: Sequence[Any]) -> Value:
    """Joined along the first axis, a vector being a row."""
    return concatenate([_at_least(x, 2) for x in xs], axis=0)


def dstack(xs: Sequence[Any]) -> Value:
    """Joined along the third axis."""
    return concatenate([_at_least(x, 3) for x in xs], axis=2)


def append(x1: Any, x2: Any, axis: int | None = None) -> Value:
    """x2 after x1 along the axis; both flattened where axis is None."""
    if axis is None:
        return concatenate([ravel(x1), ravel(x2)], axis=0)
    return concatenate([x1, x2], axis=axis)


def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Value]:
    """Parts along the axis: as many equal ones as are asked for, or cut at the given places."""
    value = as_value(x)
    place = normalize_axis(axis, value.ndim)
    if not isinstance(indices_or_sections, int):
        return _cut(value, [int(index) for index in indices_or_sections], place)
    length, count = value.type.shape[place], indices_or_sections
    if count < 1 or (isinstance(length, int) and length % count):
        raise ShapeError(
            f"axis {place} of {value.type} does not split into {count} equal parts",
            remedy="use ops.array_split for parts that may differ by one",
        )
    if isinstance(length, int):
        _spend_parts(count)
        return _cut(value, [length // count * i for i in range(1, count)], place)
    _spend_parts(count)
    shape = value.type.shape
    parts = reshape(value, (*shape[:place], count, length // count, *shape[place + 1 :]))
    return [parts[(*(slice(None),) * place, i)] for i in range(count)]


def array_split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Value]:
    """Parts along the axis as `split`, but the first ones may be longer by one. The size is known."""
    value = as_value(x)
    place = normalize_axis(axis, value.ndim)
    if not isinstance(indices_or_sections, int):
        return split(value, indices_or_sections, axis)
    length, count = value.type.shape[place], indices_or_sections
    if not isinstance(length, int) or count < 1:
        raise ShapeError(f"array_split cuts an axis of known size into 1 or more parts, axis {place} has {length}")
    _spend_parts(count)
    longer = length % count
    return _cut(value, [length // count * i + min(i, longer) for i in range(1, count)], place)


def _spend_parts(count: int) -> None:
    """Draw the nodes of as many parts on the budget of the file that asks for them, before any is made."""
    limits.spend("nodes", _NODES_OF_A_PART * max(count, 0), f"cutting into {count:,} parts")


def _cut(value: Value, indices: Sequence[int], axis: int) -> list[Value]:
    _spend_parts(len(indices) + 1)
    bounds = [0, *indices, None]
    return [apply(Slice((axis,), (start or 0,), (stop,), (1,)), value) for start, stop in pairwise(bounds)]


def hsplit(x: Any, indices_or_sections: int | Sequence[int]) -> list[Value]:
    """Parts along the second axis; of a vector along its only one."""
    return split(x, indices_or_sections, 0 if as_value(x).ndim == 1 else 1)


def vsplit(x: Any, indices_or_sections: int | Sequence[int]) -> list[Value]:
    """Parts along the first axis."""
    return split(x, indices_or_sections, 0)


def dsplit(x: Any, indices_or_sections: int | Sequence[int]) -> list[Value]:
    """Parts along the third axis."""
    return split(x, indices_or_sections, 2)


def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Value]:
    """The entries of an axis of known size, each without the axis."""
    value = as_value(x)
    place = normalize_axis(axis, value.ndim)
    length = value.type.shape[place] if num is None else num
    if not isinstance(length, int):
        raise ShapeError(f"axis {place} has the unknown size {length}", remedy="say how many entries: num=...")
    _spend_parts(length)
    return [value[(*(slice(None),) * place, i)] for i in range(length)]


def repeat(x: Any, repeats: Dim | Sequence[int], axis: int | None = None) -> Value:
    """Each entry of the axis several times in a row, a named size perhaps; of x flattened where axis is None."""
    value = ravel(x) if axis is None else as_value(x)
    place = normalize_axis(axis or 0, value.ndim)
    length = value.type.shape[place]
    if isinstance(repeats, SymbolicDim):
        return _repeated(value, repeats, place)
    counts = [int(count_from("repeat", "repeats", n)) for n in np.asarray(repeats).reshape(-1)]  # type: ignore[arg-type]
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


def roll(x: Any, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Value:
    """Entries moved on along the axis, the last ones coming first; through x flattened where axis is None."""
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
    if not isinstance(length, int):  # where each comes from, counted around at run time
        places = arange(length)
        count = reduce_sum(full((length,), 1, DType.INT32))
        return take(value, mod(subtract(places, shift), count), axis=axis)
    step = shift % length if length else 0
    if not step:
        return value
    return concatenate(_cut(value, [length - step], axis)[::-1], axis=axis)


def unravel_index(indices: Any, shape: Sequence[int]) -> tuple[Value, ...]:
    """For each place in a flattened array its index on each axis of the shape."""
    rest = as_value(indices)
    found: list[Value] = []
    for length in reversed([int(n) for n in shape]):
        found.insert(0, mod(rest, length))
        rest = floor_divide(rest, length)
    return tuple(found)


def meshgrid(*x: Any, indexing: str = "xy") -> list[Value]:
    """Each vector along an axis of its own, repeated along the others'; "xy" exchanges the first two axes."""
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


def depth_to_space(x: Any, block_size: int, data_format: str = "channels_last") -> Value:
    """[n, h, w, b*b*c] -> [n, h*b, w*b, c]: channels laid out in blocks, the block's place before the channel."""
    value = moveaxis(x, 1, -1) if data_format == "channels_first" else as_value(x)
    batch, height, width, channels = value.type.shape
    b = int(block_size)
    blocks = reshape(value, (batch, height, width, b, b, channels // (b * b)))
    placed = transpose(blocks, (0, 1, 3, 2, 4, 5))
    found = reshape(placed, (batch, height * b, width * b, channels // (b * b)))
    return moveaxis(found, -1, 1) if data_format == "channels_first" else found


def space_to_depth(x: Any, block_size: int, data_format: str = "channels_last") -> Value:
    """[n, h, w, c] -> [n, h/b, w/b, b*b*c]: blocks laid into the channels, the block's place before the channel."""
    value = moveaxis(x, 1, -1) if data_format == "channels_first" else as_value(x)
    batch, height, width, channels = value.type.shape
    b = int(block_size)
    blocks = transpose(reshape(value, (batch, height // b, b, width // b, b, channels)), (0, 1, 3, 2, 4, 5))
    found = reshape(blocks, (batch, height // b, width // b, channels * b * b))
    return moveaxis(found, -1, 1) if data_format == "channels_first" else found
