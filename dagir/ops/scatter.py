"""Reading and writing at computed positions: along an axis, at tuples of indices, in a window; and encodings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.graph import Constant, Op, Operand, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import EXACT, ROUNDED
from dagir.ir.types import DType, DTypeLike, Equations, Inferred, TensorType, normalize_axis
from dagir.ops.arithmetic import add
from dagir.ops.arrangement import meshgrid
from dagir.ops.counts import count_from, countable
from dagir.ops.creation import arange, full
from dagir.ops.elementwise import cast
from dagir.ops.indexing import getitem
from dagir.ops.logic import equal, greater, greater_equal, less, where
from dagir.ops.operands import same_dtype
from dagir.ops.reduce import max as reduce_max
from dagir.ops.reduce import sum as reduce_sum
from dagir.ops.shape import Slice, broadcast_to, concatenate, expand_dims, reshape, take
from dagir.ops.sizes import counted
from dagir.ops.stacking import stack

__all__ = [
    "GatherElements",
    "ScatterUpdate",
    "get_item",
    "in_top_k",
    "multi_hot",
    "one_hot",
    "scatter",
    "scatter_update",
    "segment_max",
    "segment_min",
    "segment_prod",
    "segment_sum",
    "select",
    "slice",
    "slice_update",
    "take_along_axis",
]


@dataclass(frozen=True)
class GatherElements(Op):
    """x: t[*a, n, *c], indices: int[*a, m, *c] -> t[*a, m, *c], on `axis`.  NumPy take_along_axis; GatherElements-13.

    Negative indices count from the end; an index out of range is an error when run.
    """

    rounding = EXACT
    moves_only = True
    operands = ("x", "indices")
    axis: int

    def infer(self, x: TensorType, indices: TensorType) -> Inferred:
        """The shape of the indices."""
        equations = Equations()
        axis = normalize_axis(self.axis, x.rank)
        _check_indices(indices)
        if indices.rank != x.rank:
            raise ShapeError(f"indices have the rank of x, {x.rank}, got {indices.rank}")
        for other, (size, wanted) in enumerate(zip(indices.shape, x.shape, strict=True)):
            if other != axis and equations.equate(size, wanted) is None:
                raise ShapeError(
                    f"sizes differ on axis {other}, and indices run on {axis}", marks={0: [other], 1: [other]}
                )
        return equations.inferred(x.with_shape(indices.shape))


@dataclass(frozen=True)
class ScatterUpdate(Op):
    """x: t[*s], indices: int[*b, r], updates: t[*b, *s[r:]] -> t[*s]: x with updates at the tuples of indices.

    Negative indices count from the end; an index out of range is an error when run. reduction: "none" replaces
    elements, and is undefined for tuples that occur twice; "add", "mul", "max" and "min" combine.
    keras.ops.scatter_update; ONNX ScatterND-18.
    """

    rounding = ROUNDED
    operands = ("x", "indices", "updates")
    reduction: str = "none"

    def infer(self, x: TensorType, indices: TensorType, updates: TensorType) -> Inferred:
        """The type of x."""
        equations = Equations()
        if self.reduction not in ("none", "add", "mul", "max", "min"):
            raise ArgumentError(f"unknown reduction {self.reduction!r}", remedy="use add, mul, max, min or none")
        same_dtype(x, updates)
        _check_indices(indices)
        depth = indices.shape[-1] if indices.rank else 0
        if not isinstance(depth, int) or not 1 <= depth <= x.rank:
            raise ShapeError(f"the last axis of indices is a tuple of 1 to {x.rank} numbers, got {depth}")
        wanted = (*indices.shape[:-1], *x.shape[depth:])
        if len(wanted) != updates.rank or any(
            equations.equate(size, want) is None for size, want in zip(updates.shape, wanted, strict=True)
        ):
            raise ShapeError(f"the updates must have the shape {list(wanted)}", marks={2: list(range(updates.rank))})
        return equations.inferred(x)


def _check_indices(indices: TensorType) -> None:
    if not indices.dtype.is_integer:
        raise ArgumentError(f"indices must be integers, got {indices.dtype}")


def take_along_axis(x: Operand, indices: Operand, axis: int | None = None) -> Value:
    """The entries of x at indices along an axis, the other axes broadcast; flattened where axis is None.

    >>> show(ops.take_along_axis([[10, 20], [30, 40]], [[1], [0]], axis=1))
    [[20], [30]]
    """
    value, places = as_value(x), as_value(indices)
    if axis is None:
        value, places, axis = reshape(value, (-1,)), reshape(places, (-1,)), 0
    axis = normalize_axis(axis, value.ndim)
    if places.ndim != value.ndim:
        raise ShapeError(f"take_along_axis takes indices of the rank of x, {value.ndim}, got {places.ndim}")
    own, wanted = ([*v.type.shape] for v in (value, places))
    length, count = own[axis], wanted[axis]
    own[axis] = wanted[axis] = 1
    common = list(Equations().broadcast(tuple(own), tuple(wanted)))  # the ops below leave the equations
    if common != own:
        value = broadcast_to(value, [*common[:axis], length, *common[axis + 1 :]])
    if common != wanted:
        places = broadcast_to(places, [*common[:axis], count, *common[axis + 1 :]])
    return apply(GatherElements(axis), value, places)


def scatter_update(inputs: Operand, indices: Operand, updates: Operand, reduction: str | None = None) -> Value:
    """inputs with updates at tuples of indices; reduction: None replaces, or "add", "mul", "max", "min".

    >>> show(ops.scatter_update([1.0, 2.0, 3.0], [[1]], [9.0]))
    [1.0, 9.0, 3.0]
    """
    value = as_value(inputs)
    return apply(ScatterUpdate(reduction or "none"), value, as_value(indices), as_value(updates, like=value))


def scatter(indices: Operand, values: Operand, shape: Sequence[Dim | None]) -> Value:
    """Zeros of a shape, with the values added at tuples of indices.

    >>> show(ops.scatter([[1], [1]], [5.0, 6.0], (3,)))
    [0.0, 11.0, 0.0]
    """
    value = as_value(values)
    return scatter_update(full(shape, 0, value.dtype), indices, value, "add")


def get_item(x: Operand, key: Operand) -> Value:
    """x[key].

    >>> show(ops.get_item([10, 20, 30], slice(1, None)))
    [20, 30]
    """
    return getitem(x, key)


def slice(inputs: Operand, start_indices: Operand, shape: Sequence[Dim]) -> Value:
    """A window of x with this shape, from the start indices on, ints or integer values; a size of -1 goes to the end,
    for ints.

    Starts and sizes may be named sizes.
    start_indices: where the window begins, one for each axis.

    >>> show(ops.slice([10, 20, 30, 40], (1,), (2,)))
    [20, 30]
    """
    value = as_value(inputs)
    _check_window(value, shape)
    starts = _starts(start_indices, value.ndim)
    for axis, (start, size) in enumerate(zip(starts, shape, strict=True)):
        if start == 0 and size == value.type.shape[axis]:
            continue
        if isinstance(start, Value):
            value = take(value, add(counted(size), cast(start, DType.INT32)), axis=axis)
        elif isinstance(start, SymbolicDim) or isinstance(size, SymbolicDim):
            value = take(value, counted(value.type.shape[axis] - start if size == -1 else size, start), axis=axis)
        else:
            _check_within(value, axis, start, size)
            value = apply(Slice((axis,), (start,), (None if size == -1 else start + size,), (1,)), value)
    return value


def slice_update(inputs: Operand, start_indices: Operand, updates: Operand) -> Value:
    """inputs with the updates in the window that begins at the start indices, ints or integer values.

    start_indices: where the window begins, one for each axis.

    >>> show(ops.slice_update([1, 2, 3, 4], (1,), [8, 9]))
    [1, 8, 9, 4]
    """
    value = as_value(inputs)
    update = as_value(updates, like=value)
    starts = _starts(start_indices, value.ndim)
    _check_window(value, update.type.shape)
    if any(isinstance(start, Value) for start in starts):
        places = [
            add(arange(size), cast(start, DType.INT32)) for size, start in zip(update.type.shape, starts, strict=True)
        ]
        return scatter_update(value, stack(meshgrid(*places, indexing="ij"), axis=-1), update)
    return _updated(value, [int(start) for start in starts], update, 0)


def _updated(value: Value, starts: Sequence[int], update: Value, axis: int) -> Value:
    """The part before the window on the axis, the window updated on the axes that follow, and the part after it."""
    if axis == value.ndim:
        return update
    size, start = update.type.shape[axis], starts[axis]
    if size == value.type.shape[axis] and start == 0:
        return _updated(value, starts, update, axis + 1)
    if not isinstance(size, int):
        raise ShapeError(f"the window has the unknown size {size} on axis {axis}", remedy="update the whole axis")
    _check_within(value, axis, start, size)
    bounds = ((0, start), (start, start + size), (start + size, None))
    before, middle, after = (apply(Slice((axis,), (low,), (high,), (1,)), value) for low, high in bounds)
    return concatenate([before, _updated(middle, starts, update, axis + 1), after], axis=axis)


def _starts(given: Any, rank: int) -> list[Any]:
    if isinstance(given, Value):
        return [given[axis] for axis in range(rank)]
    starts = [start if isinstance(start, (Value, SymbolicDim)) else int(start) for start in given]
    if len(starts) != rank:
        raise ShapeError(f"a start is given for each of the {rank} axes, got {len(starts)}")
    return starts


def _check_window(value: Value, shape: Sequence[object]) -> None:
    if len(shape) != value.ndim:
        raise ShapeError(f"the window has a size for each of the {value.ndim} axes, got {tuple(shape)}")


def _check_within(value: Value, axis: int, start: int, size: int) -> None:
    length = value.type.shape[axis]
    if start < 0 or (isinstance(length, int) and start + (0 if size < 0 else size) > length):
        raise ShapeError(f"the window from {start}, of size {size}, leaves axis {axis} of {value.type}")


def one_hot(x: Operand, num_classes: Dim, axis: int = -1, dtype: DTypeLike | None = None) -> Value:
    """1 at the class of each element on a new axis, 0 elsewhere; all 0 for a class out of range; float32.

    num_classes: the size of the new axis.

    >>> show(ops.one_hot([0, 2], 3))
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    value = _as_classes(x)
    place = normalize_axis(axis, value.ndim + 1)
    count = count_from("one_hot", "num_classes", num_classes)
    classes = reshape(arange(count, dtype=value.dtype), (-1, *(1,) * (value.ndim - place)))
    return cast(equal(expand_dims(value, place), classes), dtype or DType.FLOAT32)


def _as_classes(x: Operand) -> Value:
    """Integers, or floats, in a dtype that tells each class from the others."""
    value = as_value(x)
    if not value.dtype.is_float:
        return countable(value)
    return cast(value, DType.FLOAT32) if value.dtype.numpy.itemsize < 4 else value


def multi_hot(inputs: Operand, num_classes: int, axis: int = -1, dtype: DTypeLike | None = None) -> Value:
    """1 at each class that occurs in the elements of the second axis (of a vector: anywhere), 0 elsewhere; float32.

    num_classes: the size of the axis of classes.

    >>> show(ops.multi_hot([[0, 2]], 4))
    [[1.0, 0.0, 1.0, 0.0]]
    """
    value = as_value(inputs)
    hot = one_hot(value, num_classes, axis, DType.INT32)
    return cast(reduce_max(hot, axis=1 if value.ndim > 1 else 0), dtype or DType.FLOAT32)


def select(condlist: Sequence[Operand], choicelist: Sequence[Operand], default: Operand = 0) -> Value:
    """Elementwise the choice of the first condition that holds, else the default.

    condlist, choicelist: as many conditions as choices.

    >>> show(ops.select([[False, True], [True, True]], [[1, 2], [3, 4]], 0))
    [3, 2]
    """
    if len(condlist) != len(choicelist) or not condlist:
        raise ArgumentError(f"select takes a choice for each condition, got {len(choicelist)} for {len(condlist)}")
    pairs = list(zip(condlist, choicelist, strict=True))
    found = default
    for condition, choice in reversed(pairs):
        found = where(condition, choice, found)
    return as_value(found)


def in_top_k(targets: Operand, predictions: Operand, k: int) -> Value:
    """Whether each row's target is among the k largest predictions. Shapes: [n], [n, classes] -> bool[n].

    targets: the class of each row, integers.

    >>> show(ops.in_top_k([0, 1], [[0.9, 0.1], [0.9, 0.1]], k=1))
    [True, False]
    """
    scores = as_value(predictions)
    own = take_along_axis(scores, expand_dims(targets, 1), axis=1)
    return less(reduce_sum(cast(greater(scores, own), DType.INT32), axis=1), int(k))


def _segments(data: Operand, ids: Operand, count: Dim | None, reduction: str, start: float) -> Value:
    value = as_value(data)
    if count is None:
        raise ArgumentError(
            "the number of segments depends on the ids, which are not known yet", remedy="num_segments="
        )
    places = as_value(ids)
    if not _all_from_zero(places):  # an entry of no segment becomes the start, which changes none
        inside = greater_equal(places, 0)
        column = reshape(inside, (*places.type.shape, *(1,) * (value.ndim - places.ndim)))
        value, places = where(column, value, start), where(inside, places, 0)
    return into_segments(value, places, count, reduction, start)


def into_segments(value: Value, places: Value, count: Dim, reduction: str, start: float) -> Value:
    """[n, *s], int[n] from 0 on -> [count, *s]: the start, with which the entries of each segment are combined."""
    filled = full((count if isinstance(count, SymbolicDim) else int(count), *value.type.shape[1:]), start, value.dtype)
    return scatter_update(filled, expand_dims(places, -1), value, reduction)


def _all_from_zero(ids: Value) -> bool:
    """Whether no id is below 0, as far as is known before the run."""
    if isinstance(ids.source, Constant):
        return not ids.source.array.size or bool(ids.source.array.min() >= 0)
    return ids.dtype.is_integer and "signed" not in ids.dtype.kinds


def segment_sum(data: Operand, segment_ids: Operand, num_segments: Dim | None = None, sorted: bool = False) -> Value:
    """The sum of the entries of each segment of the first axis; 0 where there is none.

    data [n, *s], segment_ids int[n]: the segment of each entry, below 0 where it is in none -> [num_segments, *s].
    sorted: whether the ids ascend; no matter here.

    >>> show(ops.segment_sum([1.0, 5.0, 2.0], [0, 0, 1], num_segments=2))
    [6.0, 2.0]
    """
    return _segments(data, segment_ids, num_segments, "add", 0)


def segment_prod(data: Operand, segment_ids: Operand, num_segments: Dim | None = None, sorted: bool = False) -> Value:
    """The product of the entries of each segment of the first axis; 1 where there is none.

    data [n, *s], segment_ids int[n]: the segment of each entry, below 0 where it is in none -> [num_segments, *s].
    sorted: whether the ids ascend; no matter here.

    >>> show(ops.segment_prod([2.0, 5.0, 3.0], [0, 0, 1], num_segments=2))
    [10.0, 3.0]
    """
    return _segments(data, segment_ids, num_segments, "mul", 1)


def segment_max(data: Operand, segment_ids: Operand, num_segments: Dim | None = None, sorted: bool = False) -> Value:
    """The largest entries of each segment of the first axis, of floats; -infinity where there is none.

    data [n, *s], segment_ids int[n]: the segment of each entry, below 0 where it is in none -> [num_segments, *s].
    sorted: whether the ids ascend; no matter here.

    >>> show(ops.segment_max([1.0, 5.0, 2.0], [0, 0, 1], num_segments=2))
    [5.0, 2.0]
    """
    return _segments(data, segment_ids, num_segments, "max", -inf)


def segment_min(data: Operand, segment_ids: Operand, num_segments: Dim | None = None, sorted: bool = False) -> Value:
    """The smallest entries of each segment of the first axis, of floats; infinity where there is none.

    data [n, *s], segment_ids int[n]: the segment of each entry, below 0 where it is in none -> [num_segments, *s].
    sorted: whether the ids ascend; no matter here.

    >>> show(ops.segment_min([1.0, 5.0, 2.0], [0, 0, 1], num_segments=2))
    [1.0, 2.0]
    """
    return _segments(data, segment_ids, num_segments, "min", inf)
