"""Values taken apart along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.graph import Op, Operand, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import EXACT
from dagir.ir.types import Equations, Inferred, TensorType, normalize_axis
from dagir.ops.shape import (
    Slice,
    reshape,
)
from dagir.support import limits

__all__ = [
    "Split",
    "array_split",
    "dsplit",
    "hsplit",
    "split",
    "unstack",
    "vsplit",
]


@dataclass(frozen=True)
class Split(Op):
    """x: t[*a, n, *b] -> t[*a, sizes[i], *b] for each i: x cut along `axis` into parts that follow each other.

    The sizes are n in all. ops.split makes Slices; a pass makes this of those that are all of an axis.  ONNX Split-13.
    """

    rounding = EXACT
    moves_only = True
    axis: int
    sizes: tuple[int, ...]

    def infer(self, x: TensorType) -> Inferred:
        """One output for each size."""
        equations = Equations()
        axis = normalize_axis(self.axis, x.rank)
        if not self.sizes or min(self.sizes) < 0:
            raise ArgumentError(f"Split takes sizes of at least 0, got {self.sizes}")
        if equations.equate(x.shape[axis], sum(self.sizes)) is None:
            raise ShapeError(f"axis {axis} has size {x.shape[axis]}, the parts {sum(self.sizes)}", marks={0: [axis]})
        return equations.inferred(*[x.with_shape((*x.shape[:axis], size, *x.shape[axis + 1 :])) for size in self.sizes])

    def works_apart_along(self, axis: int) -> bool:
        """Along every axis but that of the parts."""
        return axis != self.axis


_NODES_OF_A_PART = 32  # that each part costs of the budget of a file: files have a few parts, not half a million


def split(x: Operand, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Value]:
    """x cut along the axis, into equal parts or at the given places.

    indices_or_sections: how many parts, or the places to cut at. Raises ShapeError where the parts are not equal.

    >>> show(*ops.split([1, 2, 3, 4], 2))
    [1, 2]
    [3, 4]
    """
    value = as_value(x)
    place = normalize_axis(axis, value.ndim)
    if not isinstance(indices_or_sections, int):
        return cut(value, [int(index) for index in indices_or_sections], place)
    length, count = value.type.shape[place], indices_or_sections
    if count < 1 or (isinstance(length, int) and length % count):
        raise ShapeError(
            f"axis {place} of {value.type} does not split into {count} equal parts",
            remedy="use ops.array_split for parts that may differ by one",
        )
    if isinstance(length, int):
        _spend_parts(count)
        return cut(value, [length // count * i for i in range(1, count)], place)
    _spend_parts(count)
    shape = value.type.shape
    parts = reshape(value, (*shape[:place], count, length // count, *shape[place + 1 :]))
    return [parts[(*(slice(None),) * place, i)] for i in range(count)]


def array_split(x: Operand, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Value]:
    """x cut along the axis as by `split`, but the first parts may be longer by one. The size must be known.

    indices_or_sections: how many parts, or the places to cut at.

    >>> show(*ops.array_split([1, 2, 3], 2))
    [1, 2]
    [3]
    """
    value = as_value(x)
    place = normalize_axis(axis, value.ndim)
    if not isinstance(indices_or_sections, int):
        return split(value, indices_or_sections, axis)
    length, count = value.type.shape[place], indices_or_sections
    if not isinstance(length, int) or count < 1:
        raise ShapeError(f"array_split cuts an axis of known size into 1 or more parts, axis {place} has {length}")
    _spend_parts(count)
    longer = length % count
    return cut(value, [length // count * i + min(i, longer) for i in range(1, count)], place)


def _spend_parts(count: int) -> None:
    """Charge the nodes of these parts to the budget of the file that asks for them, before any is made."""
    limits.spend("nodes", _NODES_OF_A_PART * max(count, 0), f"cutting into {count:,} parts")


def cut(value: Value, indices: Sequence[int], axis: int) -> list[Value]:
    _spend_parts(len(indices) + 1)
    bounds = [0, *indices, None]
    return [apply(Slice((axis,), (start or 0,), (stop,), (1,)), value) for start, stop in pairwise(bounds)]


def hsplit(x: Operand, indices_or_sections: int | Sequence[int]) -> list[Value]:
    """Parts along the second axis; of a vector along its only one.

    indices_or_sections: as for `split`.

    >>> show(*ops.hsplit([[1, 2], [3, 4]], 2))
    [[1], [3]]
    [[2], [4]]
    """
    return split(x, indices_or_sections, 0 if as_value(x).ndim == 1 else 1)


def vsplit(x: Operand, indices_or_sections: int | Sequence[int]) -> list[Value]:
    """Parts along the first axis.

    indices_or_sections: as for `split`.

    >>> show(*ops.vsplit([[1, 2], [3, 4]], 2))
    [[1, 2]]
    [[3, 4]]
    """
    return split(x, indices_or_sections, 0)


def dsplit(x: Operand, indices_or_sections: int | Sequence[int]) -> list[Value]:
    """Parts along the third axis.

    indices_or_sections: as for `split`.

    >>> show(*ops.dsplit([[[1, 2], [3, 4]]], 2))
    [[[1], [3]]]
    [[[2], [4]]]
    """
    return split(x, indices_or_sections, 2)


def unstack(x: Operand, num: int | None = None, axis: int = 0) -> list[Value]:
    """The entries of an axis of known size, each without the axis.

    num: how many there are, if given; with it the size may be unknown, and the run fails where it is another.

    >>> show(*ops.unstack([[1, 2], [3, 4]]))
    [1, 2]
    [3, 4]
    """
    value = as_value(x)
    place = normalize_axis(axis, value.ndim)
    own = value.type.shape[place]
    length = own if num is None else num
    if isinstance(own, int) and length != own:
        raise ShapeError(f"axis {place} has {own} entries, and num says {num}", marks={0: [place]})
    if not isinstance(length, int):
        raise ShapeError(f"axis {place} has the unknown size {length}", remedy="say how many entries: num=...")
    _spend_parts(length)
    if not isinstance(own, int):  # an index alone would leave out what is behind the last one
        value = reshape(value, (*value.type.shape[:place], length, *value.type.shape[place + 1 :]))
    return [value[(*(slice(None),) * place, i)] for i in range(length)]
