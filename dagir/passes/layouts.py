"""How an op that works in any layout is rewritten for another one: its axes, its operands, and its result."""

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
class Turn:
    """A change of layout, from the data format that a graph is written in to the one that is wanted."""

    written: str
    wanted: str

    def there(self, rank: int) -> tuple[int, ...]:
        """The axes of a written value, in the wanted order."""
        return to_first(rank) if self.wanted == "channels_first" else to_last(rank)

    def back(self, rank: int) -> tuple[int, ...]:
        """The axes of a value in the wanted order, as they are written."""
        return to_last(rank) if self.wanted == "channels_first" else to_first(rank)

    def moved(self, axis: int, rank: int) -> int:
        """The index in the wanted order of an axis of a written value."""
        return self.there(rank).index(axis)

    def channels(self, rank: int) -> int:
        """The axis of a written value that holds the channels."""
        return rank - 1 if self.written == "channels_last" else 1


@dataclass(frozen=True)
class Follow:
    """The op for moved operands of `rank` axes. operands: which ones are moved; yields_moved: whether the result is."""

    op: Op
    rank: int
    operands: tuple[bool, ...]
    yields_moved: bool = True


Rule: TypeAlias = Callable[[Any, int, Turn], "tuple[Op, bool] | None"]


def to_first(rank: int) -> tuple[int, ...]:
    """The axes of a channels-last value in channels-first order."""
    return (0, rank - 1, *range(1, rank - 1))


def to_last(rank: int) -> tuple[int, ...]:
    """The axes of a channels-first value in channels-last order."""
    return (0, *range(2, rank), 1)


def move_axes(shape: Shape, axes: Sequence[int]) -> Shape:
    """The shape after a transpose by `axes`."""
    return tuple(shape[axis] for axis in axes)


def follow(node: Node, turn: Turn) -> Follow | None:
    """How the node is computed in the wanted layout; None if it cannot be, or if nothing is gained."""
    op = node.op
    ranks = [value.type.rank for value in node.inputs if value is not None]
    rank = max(ranks, default=0)
    if rank < 3:
        return None
    if op.elementwise:
        return Follow(op, rank, (True,) * len(node.inputs))
    found = next((rule(op, rank, turn) for kind, rule in _AXES.items() if isinstance(op, kind)), None)
    if found is None:
        return None
    several = isinstance(op, ops.Concatenate)
    return Follow(found[0], rank, tuple(several or place == 0 for place in range(len(node.inputs))), found[1])


def _reduce(op: Reduce, rank: int, turn: Turn) -> tuple[Op, bool] | None:
    axes = tuple(sorted(turn.moved(axis, rank) for axis in op.axes))
    moved = replace(op, axes=axes)
    if op.keepdims:
        return moved, True
    kept = [axis for axis in turn.there(rank) if axis not in op.axes]
    if kept == sorted(kept):
        return moved, False
    return (moved, True) if {0, turn.channels(rank)} <= set(kept) else None


def _softmax(op: Softmax, rank: int, turn: Turn) -> tuple[Op, bool]:
    return replace(op, axes=tuple(sorted(turn.moved(axis, rank) for axis in op.axes))), True


def _axis(op: Any, rank: int, turn: Turn) -> tuple[Op, bool]:
    return replace(op, axis=turn.moved(op.axis, rank)), True


def _pad(op: ops.Pad, rank: int, turn: Turn) -> tuple[Op, bool]:
    return replace(op, pads=tuple(op.pads[axis] for axis in turn.there(rank))), True


def _tile(op: ops.Tile, rank: int, turn: Turn) -> tuple[Op, bool]:
    return replace(op, repeats=tuple(op.repeats[axis] for axis in turn.there(rank))), True


def _broadcast(op: ops.BroadcastTo, rank: int, turn: Turn) -> tuple[Op, bool] | None:
    return (replace(op, target=move_axes(op.target, turn.there(rank))), True) if len(op.target) == rank else None


def _slice(op: ops.Slice | ops.Window, rank: int, turn: Turn) -> tuple[Op, bool]:
    return replace(op, axes=tuple(turn.moved(axis, rank) for axis in op.axes)), True


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
