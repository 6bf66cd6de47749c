"""The names of sizes that the data decide; each knows the value whose axis tells it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, Protocol

from dagir.ir.dim_binding import SizeSource, size_sources
from dagir.ir.dims import Atom, Dim, SymbolicDim, symbol
from dagir.ir.op import Op
from dagir.ir.types import TensorType
from dagir.support.late_binding import LateBound


class Typed(Protocol):
    """A value of a graph, as far as it matters here."""

    @property
    def type(self) -> TensorType:
        """Its type."""


anchor: LateBound[[Any, Any], Any] = LateBound("anchor")
"""The value, as a node that reads further values, from whose axes sizes are known behind it."""

_numbers = count(1)


class DataName(str):
    """The name of a size that data decide. witness: the value that has it as an axis, once there is one."""

    witness: Typed | None = None


def fresh_size(what: str) -> SymbolicDim:
    """A size of a name that no other size has. what: the beginning of the name."""
    return symbol(DataName(f"{what.rstrip('_0123456789')}_{next(_numbers)}"))


def sources_of(names: Sequence[str], types: Sequence[TensorType]) -> dict[str, SizeSource]:
    """For each of these sizes the place and the axis that tell it, among the types of values."""
    known = size_sources([type.shape for type in types])
    return {name: known[name] for name in names if name in known}


def note_witnesses(op: Op, outputs: Sequence[Typed]) -> None:
    """Remember at each size that an op makes the output that tells it."""
    names = [name for field in op.size_fields for size in getattr(op, field) for name in names_in(size)]
    sources = sources_of(names, [value.type for value in outputs])
    for name in names:
        if isinstance(name, DataName) and name.witness is None and name in sources:
            name.witness = outputs[sources[name].place]


def witnesses_for(op: Op, inputs: Sequence[Typed | None]) -> list[Typed]:
    """The values that tell sizes which the fields of an op name, and which its operands do not tell."""
    named = {name for field in op.shape_fields for size in getattr(op, field) for name in names_in(size)}
    data = sorted(name for name in named if isinstance(name, DataName) and name.witness is not None)
    if not data:
        return []
    known = {name for value in inputs if value is not None for size in value.type.shape for name in names_in(size)}
    found = dict.fromkeys(name.witness for name in data if name not in known)
    return [value for value in found if value is not None]


def anchored(inputs: Sequence[Any], witnesses: Sequence[Typed]) -> tuple[Any, ...]:
    """The operands of a node, behind the first of which the sizes of the witnesses are known."""
    first = next(place for place, value in enumerate(inputs) if value is not None)
    return (*inputs[:first], anchor(inputs[first], witnesses), *inputs[first + 1 :])


def names_in(size: Dim) -> Iterator[str]:
    """The names in a size, as the objects that they are."""
    pending: list[Dim | Atom] = [size]
    while pending:
        each = pending.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, SymbolicDim):
            pending.extend(atom for monomial, _ in each.terms for atom in monomial)
        elif not isinstance(each, int):
            pending += [each.left, each.right]
