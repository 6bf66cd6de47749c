"""Shapes that the data decide: settings whose numbers are partly known, and operators by such settings.

A number of the data becomes a new size, which is known when the model runs. Of a vector that is put together of sizes
and of data, the sizes stay what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from dagir import ops
from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.graph import Value, apply
from dagir.ir.types import DType, Equations
from dagir.ops.data_parts import Part, whole, without_open_size
from dagir.support import limits
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.tensors import Tensor, entries, shape_of

Entry: TypeAlias = "Dim | Value"


def entries_of(call: NodeCall, data: Tensor, what: str) -> list[Entry]:
    """The numbers of a vector or of one number: ints and sizes, and int scalars of the graph for those of the data."""
    known = entries(data)
    if known is None and 0 in shape_of(data):
        return []
    if known is not None and not data.dtype.is_float:
        return [part if isinstance(part, SymbolicDim) else int(part) for part in known.flat]
    count = shape_of(data)[0] if data.ndim == 1 else 1
    if not isinstance(data, Value) or data.dtype.is_float or data.ndim > 1 or not isinstance(count, int):
        raise call.refused(f"its {what} is computed from the data, and is no vector of a known number of integers")
    if data.ndim == 0:
        return [data]
    limits.spend("nodes", count, f"the {what} of the node {call.name!r}")
    hints = call.reader.partly_known.get(data, (None,) * count)
    return [data[place] if hint is None else hint for place, hint in enumerate(hints)]


def all_known(found: Sequence[Entry]) -> list[Dim] | None:
    """The entries, if none of them is of the data."""
    known = [each for each in found if not isinstance(each, Value)]
    return known if len(known) == len(found) else None


def size_of(entry: Entry) -> Dim:
    """An entry that is never below 0 as a size."""
    return ops.size_from(ops.cast(entry, DType.INT64)) if isinstance(entry, Value) else entry


def note_joined(call: NodeCall, found: Value) -> None:
    """Remember which numbers of a vector are known that a Concat has put together, where some are of the data."""
    if found.ndim != 1 or not found.dtype.is_integer:
        return
    hints: list[Dim | None] = []
    for part in call.tensors:
        assert part is not None
        known, count = entries(part), shape_of(part)[0]
        if known is not None:
            hints += [each if isinstance(each, SymbolicDim) else int(each) for each in known.flat]
        elif isinstance(count, int) and isinstance(part, Value):
            limits.spend("names", count, f"the node {call.name!r}")
            hints += call.reader.partly_known.get(part, (None,) * count)
        else:
            return
    if any(hint is not None for hint in hints):
        call.reader.partly_known[found] = tuple(hints)


def reshaped(x: Value, target: Sequence[Entry], keeps_zeros: bool) -> Value:
    """0 keeps a size, unless `keeps_zeros`, and -1 takes what is left; both also where the data say so."""
    found: list[Entry] = []
    for axis, entry in enumerate(target):
        if keeps_zeros or axis >= x.ndim:
            found.append(entry)
        elif isinstance(entry, Value):
            found.append(ops.where(ops.equal(entry, 0), whole(x.type.shape[axis]), whole(entry)))
        else:
            found.append(x.type.shape[axis] if entry == 0 else entry)
    if any(isinstance(entry, int) and entry == -1 for entry in found):
        return ops.reshape(x, [size_of(entry) for entry in found])
    sizes = without_open_size(x.type.shape, ops.stack([whole(entry) for entry in found]))
    return ops.reshape(
        x, [size_of(sizes[axis]) if isinstance(entry, Value) else entry for axis, entry in enumerate(found)]
    )


def cut(x: Value, axis: int, bounds: tuple[Entry, Entry], step: int) -> Value:
    """A slice with bounds of the data."""
    return Part(bounds[0], bounds[1], step, clamps=step < 0).of(x, axis)


def expanded(x: Value, target: Sequence[Entry]) -> Value:
    """x broadcast to a target. Where the data ask for another size than one that is no 1, the run fails."""
    shape, rank = x.type.shape, max(x.ndim, len(target))
    own: list[Dim] = [*[1] * (rank - len(shape)), *shape]
    wanted: list[Entry] = [*[1] * (rank - len(target)), *target]
    found: list[Dim] = []
    checked: list[tuple[Dim, Dim]] = []
    for size, entry in zip(own, wanted, strict=True):
        if not isinstance(entry, Value):
            found += Equations().broadcast((size,), (entry,))
        elif size == 1:
            found.append(size_of(entry))
        else:
            found.append(size)
            checked.append((size, size_of(ops.maximum(whole(entry), whole(size)))))
    if checked:
        x = apply(ops.EqualSizes(*(tuple(side) for side in zip(*checked, strict=True))), x)
    return ops.broadcast_to(x, found)


def grown(x: Value, axis: int, pads: tuple[Entry, Entry], mode: str) -> tuple[Value, Value]:
    """x with elements of its own before and behind an axis, or without as many; and bool: which were there."""
    size, (before, after) = whole(x.type.shape[axis]), (whole(pad) for pad in pads)
    count = ops.size_from(ops.add(ops.add(size, before), after))
    places = ops.subtract(ops.cast(ops.range_of(0, whole(count), 1), DType.INT64), before)
    inside = ops.logical_and(ops.greater_equal(places, 0), ops.less(places, size))
    last = ops.subtract(size, 1)
    if mode == "wrap":
        source = ops.mod(places, size)
    elif mode == "reflect":
        period = ops.maximum(ops.multiply(last, 2), 1)
        source = ops.subtract(last, ops.absolute(ops.subtract(ops.mod(places, period), last)))
    else:
        source = ops.minimum(ops.maximum(places, 0), ops.maximum(last, 0))
    column = [1] * x.ndim
    column[axis] = -1
    return ops.take(x, source, axis), ops.reshape(inside, column)


__all__ = [
    "Entry",
    "all_known",
    "cut",
    "entries_of",
    "expanded",
    "grown",
    "note_joined",
    "reshaped",
    "size_of",
]
