"""Where a named size can be read: an axis that has it, or an axis from whose size it follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagir.ir.dims import Dim


@dataclass(frozen=True)
class SizeSource:
    """The size of `axis` of input `place` is factor * name + offset."""

    place: int
    axis: int
    factor: int = 1
    offset: int = 0

    def solve(self, size: Any) -> Any:
        """The named size, from that of the axis: a number, a Dim, or a tensor with arithmetic of its own."""
        rest = size - self.offset if self.offset else size
        return rest // self.factor if self.factor != 1 else rest


def size_sources(shapes: Sequence[Sequence[Dim]]) -> Mapping[str, SizeSource]:
    """Where to read each named size of these shapes. An axis whose size is the name itself is preferred."""
    plain: dict[str, SizeSource] = {}
    derived: dict[str, SizeSource] = {}
    for place, shape in enumerate(shapes):
        for axis, size in enumerate(shape):
            found = None if isinstance(size, int) else _affine(size.terms)
            if found is not None:
                name, factor, offset = found
                kind = plain if (factor, offset) == (1, 0) else derived
                kind.setdefault(name, SizeSource(place, axis, factor, offset))
    return derived | plain


def _affine(terms: Sequence[tuple[tuple[object, ...], int]]) -> tuple[str, int, int] | None:
    """(name, factor, offset) of factor * name + offset; None for another form."""
    offset = sum(coefficient for monomial, coefficient in terms if not monomial)
    rest = [(monomial, coefficient) for monomial, coefficient in terms if monomial]
    if len(rest) != 1 or len(rest[0][0]) != 1 or not isinstance(rest[0][0][0], str) or rest[0][1] < 1:
        return None
    return rest[0][0][0], rest[0][1], offset
