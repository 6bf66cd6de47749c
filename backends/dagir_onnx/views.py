"""Squeeze, Unsqueeze and Transpose one after the other: as none, as one node, or as at most one of each.

A view is a tensor whose elements are those of another one, its base, with axes that are moved, added or dropped. What
rules write around a recurrence, and what the model has beside it, often comes to the base itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from dagir_onnx.emitter import Tensor

Axes: TypeAlias = tuple[int | None, ...]
KINDS = ("Squeeze", "Unsqueeze", "Transpose")
_MOST = 3  # axes of size 1 that are dropped or added


@dataclass(frozen=True)
class View:
    """axes: for each axis, that of the base, or None for a new one of size 1. The dropped ones have size 1."""

    base: Tensor
    rank: int
    axes: Axes

    @property
    def dropped(self) -> list[int]:
        """The axes of the base that are not there."""
        return [axis for axis in range(self.rank) if axis not in self.axes]

    @property
    def added(self) -> list[int]:
        """The places of new axes."""
        return [place for place, axis in enumerate(self.axes) if axis is None]

    @property
    def in_order(self) -> bool:
        """Whether no axis moves past another."""
        return _in_order(self.axes)

    def steps(self) -> list[tuple[str, tuple[int, ...], View]]:
        """The nodes that give it from its base: of each the op, its axes, and what it gives."""
        kept = tuple(axis for axis in range(self.rank) if axis in self.axes)
        ordered = tuple(axis for axis in self.axes if axis is not None)
        found: list[tuple[str, tuple[int, ...], View]] = []
        if self.dropped:
            found.append(("Squeeze", tuple(self.dropped), replace(self, axes=kept)))
        if not self.in_order:
            found.append(("Transpose", tuple(map(kept.index, ordered)), replace(self, axes=ordered)))
        if self.added:
            found.append(("Unsqueeze", tuple(self.added), self))
        return found

    def normalized(self) -> View:
        """An axis that is added where one was dropped is that axis, as far as none moves then."""
        dropped, added = self.dropped, self.added
        if max(len(dropped), len(added)) > _MOST:
            return self
        for count in range(min(len(dropped), len(added)), 0, -1):
            for places in combinations(added, count):
                for axes in combinations(dropped, count):
                    filled = list(self.axes)
                    for place, axis in zip(places, axes, strict=True):
                        filled[place] = axis
                    if _in_order(filled):
                        return replace(self, axes=tuple(filled))
        return self


def _in_order(axes: Sequence[int | None]) -> bool:
    moved = [axis for axis in axes if axis is not None]
    return moved == sorted(moved)


class Views:
    """What is known of the tensors of a graph: their ranks, and those that are views of others."""

    def __init__(self) -> None:
        self._ranks: dict[str, int] = {}
        self._views: dict[str, View] = {}
        self._tensors: dict[tuple[str, Axes], Tensor] = {}
        self._lengths: dict[str, int] = {}
        self._fresh: list[str] = []

    def start(self) -> None:
        """Begin with a rule: what it writes has other names when it is done."""
        self._fresh = []

    def know(self, tensor: Tensor, rank: int) -> None:
        """Note the rank, which the type of a tensor within a rule need not have."""
        self._ranks[tensor.name] = rank

    def copy(self) -> Views:
        """The same knowledge, for a subgraph: what is written in it is not known outside."""
        found = Views()
        found._ranks, found._views, found._tensors = dict(self._ranks), dict(self._views), dict(self._tensors)
        found._lengths = dict(self._lengths)
        return found

    def length(self, tensor: Tensor) -> int:
        """How many nodes give a tensor from its base."""
        return self._lengths.get(tensor.name, 0)

    def after(self, op_type: str, inputs: Sequence[Tensor | None], attributes: Mapping[str, Any]) -> View | None:
        """What a node of one of the KINDS would give; None where that is not known."""
        x = inputs[0]
        if x is None or x.is_initializer or x.permuted is not None:
            return None
        if op_type == "Transpose":
            perm = list(attributes["perm"])
            view = self._of(x, len(perm))
            return replace(view, axes=tuple(view.axes[axis] for axis in perm)).normalized()
        rank = self._ranks.get(x.name)
        if rank is None or len(inputs) != 2 or inputs[1] is None or not inputs[1].is_initializer:
            return None
        view, given = self._of(x, rank), inputs[1].array.tolist()
        rank = rank if op_type == "Squeeze" else rank + len(given)
        places = sorted(axis % rank for axis in given)
        axes = list(view.axes)
        for place in places if op_type == "Unsqueeze" else reversed(places):
            if op_type == "Unsqueeze":
                axes.insert(place, None)
            else:
                del axes[place]
        return replace(view, axes=tuple(axes)).normalized()

    def _of(self, tensor: Tensor, rank: int) -> View:
        return self._views.get(tensor.name) or View(tensor, rank, tuple(range(rank)))

    def known(self, view: View) -> Tensor | None:
        """The tensor that is the view already: its base, or one that was written."""
        if view.axes == tuple(range(view.rank)):
            return view.base
        return self._tensors.get((view.base.name, view.axes))

    def add(self, tensor: Tensor, view: View, source: Tensor) -> None:
        """Note what was written, and of which tensor."""
        self._views[tensor.name] = view
        self._lengths[tensor.name] = self.length(source) + 1
        self._ranks[tensor.name] = len(view.axes)
        self._fresh.append(tensor.name)
        self._tensors.setdefault((view.base.name, view.axes), tensor)

    def write(self, view: View, ints: Callable[..., Tensor], node: Callable[..., Tensor]) -> Tensor:
        """Write a view by the nodes that it needs. ints: makes axes. node: writes one, of op, inputs, attributes."""
        tensor = view.base
        for op_type, axes, reached in view.steps():
            made = self.known(reached)
            if made is None and op_type == "Transpose":
                made = node(op_type, (tensor,), {"perm": axes})
                self.add(made, reached, tensor)
            elif made is None:
                made = node(op_type, (tensor, ints(*axes)), {})
                self.add(made, reached, tensor)
            tensor = made
        return tensor

    def rename(self, old: str, new: Tensor, rank: int) -> None:
        """Note the name that a tensor gets when its rule is done."""
        self._ranks[new.name] = rank
        for place, name in enumerate(self._fresh):
            view = self._views[name]
            if name == old:
                self._fresh[place] = new.name
                self._views[new.name], self._lengths[new.name] = self._views.pop(old), self._lengths.pop(old)
                if self._tensors[view.base.name, view.axes].name == old:
                    self._tensors[view.base.name, view.axes] = new
            if view.base.name == old:
                self._views[name] = replace(view, base=new)
                self._tensors[new.name, view.axes] = self._tensors.pop((old, view.axes))
