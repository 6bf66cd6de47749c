"""How an op that works in any layout is rewritten for channels-first: its axes, its operands, and its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from dagir import ops
from dagir.ir.graph import Node, Op
from dagir.ir.types import Shape
from dagir.ops.reduce import Reduce
from dagir.ops.softmax import Softmax


@dataclass(frozen=True)
class Follow:
    """The op for channels-first operands of `rank` axes. operands: which ones become channels-first; yields_first:
    whether the result is channels-first.
    """

    op: Op
    rank: int
    operands: tuple[bool, ...]
    yields_first: bool = True


Rule: TypeAlias = Callable[[Any, int], "tuple[Op, bool] | None"]


def to_first(rank: int) -> tuple[int, ...]:
    """The axes of a channels-last value in channels-first order."""
    return (0, rank - 1, *range(1, rank - 1))


def to_last(rank: int) -> tuple[int, ...]:
    """The axes of a channels-first value in channels-last order."""
    return (0, *range(2, rank), 1)


def move_axes(shape: Shape, axes: Sequence[int]) -> Shape:
    """The shape after a transpose by `axes`."""
    return tuple(shape[axis] for axis in axes)


def follow(node: Node) -> Follow | None:
    """How the node is computed in channels-first; None if it cannot be, or if nothing is gained."""
    op = node.op
    ranks = [value.type.rank for value in node.inputs if value is not None]
    rank = max(ranks, default=0)
    if rank < 3:
        return None
    if op.elementwise:
        return Follow(op, rank, (True,) * len(node.inputs))
    found = next((rule(op, rank) for kind, rule in _AXES.items() if isinstance(op, kind)), None)
    if found is None:
        return None
    several = isinstance(op, ops.Concatenate)
    return Follow(found[0], rank, tuple(several or place == 0 for place in range(len(node.inputs))), found[1])


def _moved(axis: int, rank: int) -> int:
    """The index in channels-first order of an axis of a channels-last value."""
    return to_first(rank).index(axis)


def _reduce(op: Reduce, rank: int) -> tuple[Op, bool] | None:
    axes = tuple(sorted(_moved(axis, rank) for axis in op.axes))
    moved = replace(op, axes=axes)
    if op.keepdims:
        return moved, True
    kept = [axis for axis in to_first(rank) if axis not in op.axes]
    if kept == sorted(kept):
        return moved, False
    return (moved, True) if {0, rank - 1} <= set(kept) else None


def _softmax(op: Softmax, rank: int) -> tuple[Op, bool]:
    return replace(op, axes=tuple(sorted(_moved(axis, rank) for axis in op.axes))), True


def _axis(op: Any, rank: int) -> tuple[Op, bool]:
    return replace(op, axis=_moved(op.axis, rank)), True


def _pad(op: ops.Pad, rank: int) -> tuple[Op, bool]:
    return replace(op, pads=tuple(op.pads[axis] for axis in to_first(rank))), True


def _tile(op: ops.Tile, rank: int) -> tuple[Op, bool]:
    return replace(op, repeats=tuple(op.repeats[axis] for axis in to_first(rank))), True


def _broadcast(op: ops.BroadcastTo, rank: int) -> tuple[Op, bool] | None:
    return (replace(op, target=move_axes(op.target, to_first(rank))), True) if len(op.target) == rank else None


def _slice(op: ops.Slice | ops.Window, rank: int) -> tuple[Op, bool]:
    return replace(op, axes=tuple(_moved(axis, rank) for axis in op.axes)), True


_AXES: dict[type[Op], Rule] = {
    Reduce: _reduce,
    Softmax: _softmax,
    ops.GroupNorm: _axis,
    ops.BatchNorm: _axis,
    ops.Concatenate: _axis,
    ops.Pad: _pad,
    ops.Tile: _tile,
    ops.Slice: _slice,
    ops.BroadcastTo: _broadcast,
    ops.Window: _slice,
}
