"""Parts of axes between bounds that the data decide, and targets of reshaping with such sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from dagir.ir.dims import Dim
from dagir.ir.graph import Constant, Value, apply, apply_node
from dagir.ir.types import DType, Shape
from dagir.ops.arithmetic import add, floor_divide, maximum, minimum, subtract
from dagir.ops.data_sizes import EqualSizes, range_of, size_from
from dagir.ops.elementwise import absolute, cast
from dagir.ops.logic import greater, less, where
from dagir.ops.reduce import prod
from dagir.ops.shape import reshape, take
from dagir.ops.sizes import measured
from dagir.ops.splitting import Split

_INT64 = DType.INT64


def whole(data: Dim | Value) -> Value:
    """A size, or a number of the data, as an int64 scalar."""
    if isinstance(data, int):
        return Constant(np.asarray(data, np.int64)).value
    return cast(data if isinstance(data, Value) else measured(data), _INT64)


@dataclass(frozen=True)
class Part:
    """x[first:last:step] along an axis, where one of them is a number of the data; None for an absent bound.

    clamps: whether a first element before the start of the axis is its start for a step below 0 too, as in ONNX.
    """

    first: Dim | Value | None
    last: Dim | Value | None
    step: int | Value = 1
    clamps: bool = False

    def of(self, x: Value, axis: int) -> Value:
        """The part."""
        size, step = whole(x.type.shape[axis]), whole(self.step)
        up = greater(step, 0)
        low, high = where(up, whole(0), whole(-1)), where(up, size, subtract(size, 1))

        def bound(given: Dim | Value | None, default: Value, least: Value) -> Value:
            if given is None:
                return default
            place = whole(given)
            place = where(less(place, 0), add(place, size), place)
            return minimum(maximum(place, least), high)

        first = whole(0) if self.clamps else low
        start = bound(self.first, where(up, low, high), first)
        return take(x, range_of(start, bound(self.last, where(up, high, low), low), step), axis)


def all_parts(x: Value, sizes: Sequence[Dim], axis: int) -> list[Value]:
    """x cut along an axis into parts of these sizes, which have all of it: where they have not, the run fails.

    A slice alone proves nothing: it is shorter where the axis is, and leaves out what is behind the last part. So each
    part has its size as a claim, that of a Split or of a Reshape, which is held against the input on all backends.
    axis: from 0. Raises ShapeError where the sizes are known and are not all of the axis.
    """
    known = tuple([size for size in sizes if isinstance(size, int)])
    if len(known) == len(sizes):
        return list(apply_node(Split(axis, known), (x,)).outputs)
    lead: tuple[slice, ...] = (slice(None),) * axis
    bounds: list[Dim | None] = [0, *accumulate(sizes[:-1]), None]
    cuts = [x[(*lead, slice(start, stop))] for start, stop in pairwise(bounds)]
    shapes = [(*x.type.shape[:axis], size, *x.type.shape[axis + 1 :]) for size in sizes]
    return [
        part if part.type.shape == shape else reshape(part, shape) for part, shape in zip(cuts, shapes, strict=True)
    ]


def all_parts_by_data(x: Value, sizes: Sequence[Dim | Value], axis: int) -> list[Value]:
    """The same where data decide sizes. axis: from 0. The run fails for one below 0, too."""
    numbers = [whole(size) for size in sizes]
    ends = list(accumulate(numbers, add))
    total = size_from(list(accumulate([absolute(number) for number in numbers], add))[-1])
    x = apply(EqualSizes((x.type.shape[axis],), (total,)), x)
    return [Part(start, end).of(x, axis) for start, end in pairwise([whole(0), *ends])]


def without_open_size(shape: Shape, wanted: Value) -> Value:
    """The sizes of a target to reshape to: one below 0 becomes the size that is left for it."""
    total, sizes = whole(_count(shape)), cast(wanted, _INT64)
    is_open = less(sizes, 0)
    others = maximum(prod(where(is_open, 1, sizes)), 1)
    return where(is_open, floor_divide(total, others), sizes)


def _count(shape: Shape) -> Dim:
    total: Dim = 1
    for size in shape:
        total = total * size
    return total


__all__ = ["Part", "all_parts", "all_parts_by_data", "whole", "without_open_size"]
