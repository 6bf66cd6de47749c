"""`value[...]`: NumPy's basic indexing, as slices, gathers and reshapes."""

from __future__ import annotations

from operator import index as as_int

import numpy as np

from dagir.errors import ArgumentError
from dagir.ir.dims import SymbolicDim
from dagir.ir.graph import Operand, Value, apply
from dagir.ir.operands import as_value
from dagir.ops.shape import Slice, Squeeze, expand_dims, take
from dagir.ops.sizes import index_named, slice_named


def getitem(x: Operand, where: object) -> Value:
    """Indexing as NumPy's basic indexing: ints, slices with steps, None, Ellipsis; and one integer Value.

    Named sizes, as ops.shape(x) gives them, are accepted for ints.
    """
    value = as_value(x)
    parts = list(where) if isinstance(where, tuple) else [where]
    if sum(part is Ellipsis for part in parts) > 1:
        raise ArgumentError("an index may hold one Ellipsis only")
    used = sum(part is not None and part is not Ellipsis for part in parts)
    if used > value.ndim:
        raise ArgumentError(f"{used} indices for a value of rank {value.ndim}: {value.type}")
    at = next((i for i, part in enumerate(parts) if part is Ellipsis), len(parts))
    parts[at : at + 1] = [slice(None)] * (value.ndim - used)
    return _index_axes(*_without_names(value, parts))


def _without_names(value: Value, parts: list[object]) -> tuple[Value, list[object]]:
    """The value after the slices with named sizes are applied, and the keys that remain."""
    left = list(parts)
    axis = 0
    for place, part in enumerate(parts):
        if isinstance(part, slice) and any(isinstance(b, SymbolicDim) for b in (part.start, part.stop)):
            value, left[place] = slice_named(value, axis, part)
        elif isinstance(part, SymbolicDim):
            left[place] = index_named(part, value.type.shape[axis])
        axis += part is not None
    return value, left


def _index_axes(value: Value, parts: list[object]) -> Value:
    cuts: list[tuple[int, int, int | None, int]] = []
    dropped: list[int] = []
    inserted: list[int] = []
    gathered: list[tuple[int, Value]] = []
    axis = place = 0  # of x, and of the result
    for part in parts:
        if part is None:
            inserted.append(place)
            place += 1
            continue
        if isinstance(part, Value):
            gathered.append((axis - len(dropped), part))
            place += part.ndim
        elif isinstance(part, slice):
            if part != slice(None):
                cuts.append((axis, *_slice_bounds(part)))
            place += 1
        else:
            start = _checked_index(value, axis, part)
            cuts.append((axis, start, None if start == -1 else start + 1, 1))
            dropped.append(axis)
        axis += 1
    _check_gathered(gathered, dropped)
    if cuts:
        value = apply(Slice(*zip(*cuts, strict=True)), value)
    if dropped:
        value = apply(Squeeze(tuple(dropped)), value)
    for axis, indices in gathered:
        value = take(value, indices, axis)
    for place in inserted:
        value = expand_dims(value, place)
    return value


def _slice_bounds(part: slice) -> tuple[int, int | None, int]:
    """Start, stop and step; without a start, the end at which the step begins."""
    for bound in (part.start, part.stop, part.step):
        if bound is not None and not hasattr(bound, "__index__"):
            raise ArgumentError(f"slice bounds are ints, got {bound!r}", remedy="gather places that vary with ops.take")
    step = 1 if part.step is None else as_int(part.step)
    if step == 0:
        raise ArgumentError("a slice step cannot be 0")
    start = (0 if step > 0 else -1) if part.start is None else as_int(part.start)
    return start, None if part.stop is None else as_int(part.stop), step


def _check_gathered(gathered: list[tuple[int, Value]], dropped: list[int]) -> None:
    """Refuse keys that mix arrays and ints: NumPy moves axes to the front for some of them."""
    if len(gathered) > 1 or (dropped and any(indices.ndim for _, indices in gathered)):
        raise ArgumentError("index by one Value, beside slices only", remedy="use ops.take for each axis")


def _checked_index(value: Value, axis: int, given: object) -> int:
    if isinstance(given, (bool, np.bool_)) or not isinstance(given, (int, np.integer)):
        raise ArgumentError(f"cannot index by {given!r}", remedy="use ints, slices, None, Ellipsis or ops.take")
    size, place = value.type.shape[axis], int(given)
    if isinstance(size, int) and not -size <= place < size:
        raise ArgumentError(
            f"index {place} is out of range for axis {axis} of {value.type}",
            remedy=f"valid indices: {-size} to {size - 1}",
        )
    return place
