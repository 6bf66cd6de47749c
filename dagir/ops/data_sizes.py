"""Ops whose result has a size that the data decide, and sizes that are numbers of the data.

Such a size is a fresh name, known when the model runs. Two of them are equal only where the run shows it: what needs
them equal is checked then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.data_sizes import fresh_size
from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.graph import Constant, Op, Operand, Types, Value, apply, apply_node
from dagir.ir.operands import as_value
from dagir.ir.rounding import EXACT
from dagir.ir.types import DType, Equations, Inferred, Shape, TensorType, normalize_axis
from dagir.ops.elementwise import cast
from dagir.ops.operands import require, same_dtype
from dagir.ops.shape import broadcast_to, concatenate, reshape, squeeze, take
from dagir.ops.sizes import measured
from dagir.ops.splitting import unstack

__all__ = [
    "EqualSizes",
    "KnowSizes",
    "NonMaxSuppression",
    "NonZero",
    "Range",
    "Unique",
    "boolean_mask",
    "compress",
    "non_max_suppression",
    "nonzero",
    "range_of",
    "size_from",
    "unique",
]


class _MakesSize(Op):
    """Base of ops that make one size."""

    size_fields = ("size",)
    size: Shape

    @property
    def made(self) -> Dim:
        """The size that the data decide. Raises ArgumentError."""
        if len(self.size) != 1:
            raise ArgumentError(f"{self.op_name} makes one size, and has {len(self.size)} names for it")
        return self.size[0]


@dataclass(frozen=True)
class NonZero(_MakesSize):
    """x: t[*s] -> int64[rank, n]: the places of the elements that are not zero, in row-major order.  ONNX NonZero-13.

    size: (n,), a name that occurs nowhere else.
    """

    rounding = EXACT
    size: tuple[int | SymbolicDim, ...]

    def infer(self, x: TensorType) -> Types:
        """One row for each axis."""
        if x.dtype is not DType.BOOL:
            require("number", x)
        if not x.rank:
            raise ShapeError("a scalar has no places of elements that are not zero", remedy="give it an axis")
        return (TensorType(DType.INT64, (x.rank, self.made)),)


@dataclass(frozen=True)
class Range(_MakesSize):
    """start, limit, step: t[] -> t[n]: start, start + step ..., up to before the limit.  ONNX Range-11.

    size: (n,), a name that occurs nowhere else.
    """

    rounding = EXACT
    operands = ("start", "limit", "step")
    size: tuple[int | SymbolicDim, ...]

    def infer(self, start: TensorType, limit: TensorType, step: TensorType) -> Types:
        """A vector."""
        dtype = same_dtype(start, limit, step)
        require("number", start)
        for place, bound in enumerate((start, limit, step)):
            if bound.rank:
                raise ShapeError(f"a range takes scalars, got {bound}", marks={place: list(range(bound.rank))})
        return (TensorType(dtype, (self.made,)),)


@dataclass(frozen=True)
class Unique(_MakesSize):
    """x: t[*s] -> t[n], int64[n], int64[m], int64[n]: the different elements, and where each occurs first.

    The third output says for each element which of them it is, the fourth how often each occurs. With `axis` these are
    the different slices along it, t[.., n, ..]; without, the elements in row-major order. sorted: in ascending order
    (of slices: of their first elements, then of the next), else in that of their first places.  ONNX Unique-11.
    size: (n,), a name that occurs nowhere else.
    """

    rounding = EXACT
    size: tuple[int | SymbolicDim, ...]
    axis: int | None = None
    sorted: bool = True

    def infer(self, x: TensorType) -> Types:
        """The shape of x with n along the axis, and three vectors."""
        if x.dtype is not DType.BOOL:
            require("number", x)
        total: Dim = 1
        for size in x.shape:
            total = total * size
        found: Shape = (self.made,)
        if self.axis is not None:
            place = normalize_axis(self.axis, x.rank)
            total, found = x.shape[place], (*x.shape[:place], self.made, *x.shape[place + 1 :])
        places = TensorType(DType.INT64, (self.made,))
        return (x.with_shape(found), places, TensorType(DType.INT64, (total,)), places)


@dataclass(frozen=True)
class NonMaxSuppression(_MakesSize):
    """boxes: t[b, a, 4], scores: t[b, c, a], most: int64[], overlap: t[], least: t[]? -> int64[n, 3].

    For each batch and class, the boxes of the highest scores, without those that overlap a box chosen before by more
    than `overlap` of their union; `most` boxes at most, with scores above `least` only. A row is batch, class, box.
    center_point_box: a box is its center and its size, x before y; else two opposite corners, y before x.
    size: (n,), a name that occurs nowhere else.  ONNX NonMaxSuppression-11.
    """

    rounding = EXACT
    operands = ("boxes", "scores", "most", "overlap", "least")
    size: tuple[int | SymbolicDim, ...]
    center_point_box: bool = False

    def infer(
        self,
        boxes: TensorType,
        scores: TensorType,
        most: TensorType,
        overlap: TensorType,
        least: TensorType | None = None,
    ) -> Inferred:
        """A row for each box."""
        floats = [boxes, scores, overlap, *([] if least is None else [least])]
        same_dtype(*floats)
        require("float", *floats)
        same_dtype(most, TensorType(DType.INT64, ()))
        if boxes.rank != 3 or scores.rank != 3 or boxes.shape[2] != 4:
            raise ShapeError(f"boxes are [b, a, 4] and scores [b, c, a], got {boxes} and {scores}")
        if any(bound is not None and bound.rank for bound in (most, overlap, least)):
            raise ShapeError("the bounds of a suppression are scalars")
        equations = Equations()
        pairs = {"batches": (boxes.shape[0], scores.shape[0]), "boxes": (boxes.shape[1], scores.shape[2])}
        for what, (left, right) in pairs.items():
            if equations.equate(left, right) is None:
                raise ShapeError(f"boxes and scores have different numbers of {what}: {left} and {right}")
        return equations.inferred(TensorType(DType.INT64, (self.made, 3)))


@dataclass(frozen=True)
class KnowSizes(Op):
    """x: t[*s], witnesses -> x: behind it, the sizes of the axes of the witnesses are known too.  Here alone."""

    rounding = EXACT
    moves_only = True
    operands = ("x", "*witnesses")

    def infer(self, x: TensorType, *witnesses: TensorType) -> Types:
        """The type of x."""
        return (x,)


@dataclass(frozen=True)
class EqualSizes(Op):
    """x: t[*s] -> x, where each size of `left` equals that of `right`; else the run fails.  Here alone."""

    rounding = EXACT
    elementwise = True
    moves_only = True
    shape_fields = ("left", "right")
    left: tuple[int | SymbolicDim, ...]
    right: tuple[int | SymbolicDim, ...]

    def infer(self, x: TensorType) -> Types:
        """The type of x."""
        if len(self.left) != len(self.right):
            raise ArgumentError(f"{len(self.left)} sizes cannot equal {len(self.right)}")
        return (x,)


def know_sizes(x: Value, witnesses: Sequence[Value]) -> Value:
    """x, behind which the sizes of the axes of the witnesses are known."""
    return apply(KnowSizes(), x, *witnesses)


def _number(x: Operand | Dim, dtype: DType) -> Value:
    value = x if isinstance(x, (Value, SymbolicDim)) else Constant(np.asarray(x, dtype.numpy)).value
    value = measured(value) if isinstance(value, SymbolicDim) else value
    return value if value.dtype is dtype else cast(value, dtype)


def size_from(x: Operand) -> Dim:
    """An integer scalar as a size, for shapes: its number when the model runs; below 0 it is 0.

    x: an integer of rank 0. Raises ShapeError, DTypeError.

    >>> n = ops.size_from(ops.array(2) + 1)
    >>> show(ops.full((n,), 7.0))
    [7.0, 7.0, 7.0]
    """
    value = as_value(x)
    require("integer", value.type)
    if isinstance(value.source, Constant) and not value.ndim:
        return max(int(value.source.array), 0)
    return range_of(0, value, 1).type.shape[0]


def range_of(start: Operand | Dim, limit: Operand | Dim, step: Operand = 1, dtype: DType | None = None) -> Value:
    """start, start + step ..., up to before the limit, all of them scalars of the data.

    start, limit, step: scalars, or sizes. dtype: of the result; without it, that of the first of them that is a value.

    >>> show(ops.range_of(1, ops.array(4) + 2, 2))
    [1, 3, 5]
    """
    given = (start, limit, step)
    kind = dtype or next((part.dtype for part in given if isinstance(part, Value)), DType.INT32)
    return apply(Range((fresh_size("range"),)), *[_number(part, kind) for part in given])


def nonzero(x: Operand) -> tuple[Value, ...]:
    """The places of the elements that are not zero: for each axis the indices along it, int32[n].

    x: t[*s] of numbers or booleans, of rank 1 at least; n is known when the model runs. Raises ShapeError.

    >>> show(*ops.nonzero([[0, 3], [4, 0]]))
    [0, 1]
    [1, 0]
    """
    found = apply(NonZero((fresh_size("nonzero"),)), as_value(x))
    return tuple(unstack(cast(found, DType.INT32), axis=0))


def compress(condition: Operand, x: Operand, axis: int | None = None) -> Value:
    """The slices of x along an axis where the condition holds; of x flattened where axis is None.  ONNX Compress-11.

    condition: bool[m]; what is behind its end is left out. x: t[*s]. Raises ShapeError, DTypeError.

    >>> show(ops.compress([True, False, True], [1, 2, 3]))
    [1, 3]
    """
    value, chosen = as_value(x), as_value(condition)
    require("bool", chosen.type)
    if chosen.ndim != 1:
        raise ShapeError(f"a condition to compress by has rank 1, got {chosen.type}")
    value, place = (reshape(value, (-1,)), 0) if axis is None else (value, normalize_axis(axis, value.ndim))
    return take(value, nonzero(chosen)[0], axis=place)


def boolean_mask(x: Operand, mask: Operand, axis: int = 0) -> Value:
    """The parts of x where a mask holds, one after another.

    x: t[*s]; mask: bool of some axes of x, `axis` the first of them -> t[.., n, ..]. Raises ShapeError, DTypeError.

    >>> show(ops.boolean_mask([[1, 2], [3, 4], [5, 6]], [True, False, True]))
    [[1, 2], [5, 6]]
    """
    value, chosen = as_value(x), as_value(mask)
    require("bool", chosen.type)
    first = normalize_axis(axis, value.ndim)
    last = first + chosen.ndim
    if not chosen.ndim or last > value.ndim:
        raise ShapeError(f"a mask of rank {chosen.ndim} at axis {axis} does not fit {value.type}")
    sizes = value.type.shape
    for size, wanted in zip(sizes[first:last], chosen.type.shape, strict=True):
        if isinstance(size, int) and isinstance(wanted, int) and size != wanted:
            raise ShapeError(f"a mask of shape {list(chosen.type.shape)} at axis {axis} does not fit {value.type}")
    if chosen.ndim > 1:
        value = reshape(value, (*sizes[:first], -1, *sizes[last:]))
        chosen = reshape(chosen, (-1,))
    return take(value, nonzero(chosen)[0], axis=first)


def unique(
    x: Operand,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: float | None = None,
) -> Value | tuple[Value, ...]:
    """The different elements of x, or slices along an axis, in ascending order.

    sorted: else in the order of their first places. return_index, return_inverse, return_counts: also where each occurs
    first, which of them each element is (in the shape of x where axis is None), and how often each occurs, int32.
    size: how many there are in the result, without it known when the model runs; further ones are fill_value, 0 where
    it is None.  keras.ops.unique.

    >>> show(*ops.unique([3, 1, 3], return_counts=True))
    [1, 3]
    [1, 2]
    """
    value = as_value(x)
    place = 0 if axis is None else normalize_axis(axis, value.ndim)
    values, *rest = apply_node(Unique((fresh_size("unique"),), axis, sorted), (value,)).outputs
    index, inverse, counts = [cast(each, DType.INT32) for each in rest]
    if axis is None and value.ndim != 1:
        inverse = reshape(inverse, value.type.shape)
    if size is not None:
        values = _sized(values, place, size, 0 if fill_value is None else fill_value)
        index, counts = _sized(index, 0, size, 1), _sized(counts, 0, size, 0)
    wanted = zip((index, inverse, counts), (return_index, return_inverse, return_counts), strict=True)
    results = (values, *(each for each, is_wanted in wanted if is_wanted))
    return results if len(results) > 1 else values


def _sized(value: Value, axis: int, size: int, number: float) -> Value:
    """The value with `size` slices along an axis: the first ones, or further ones of a number."""
    shape = (*value.type.shape[:axis], size, *value.type.shape[axis + 1 :])
    more = broadcast_to(Constant(np.asarray(number, value.dtype.numpy)).value, shape)
    return take(concatenate([value, more], axis), np.arange(size, dtype=np.int32), axis=axis)


def non_max_suppression(
    boxes: Operand,
    scores: Operand,
    max_output_size: Operand,
    iou_threshold: Operand = 0.5,
    score_threshold: Operand | None = None,
) -> Value:
    """The places of the boxes of the highest scores, without those that overlap one chosen before: int32[n].

    boxes: t[a, 4] of two opposite corners; scores: t[a]. max_output_size: of boxes at most. iou_threshold: the largest
    share of their union that two boxes may have in common. score_threshold: below which no box is chosen.
    Raises ShapeError, DTypeError.  tf.image.non_max_suppression.

    >>> boxes = [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.9], [2.0, 2.0, 3.0, 3.0]]
    >>> show(ops.non_max_suppression(boxes, [0.5, 0.9, 0.4], 2))
    [1, 2]
    """
    corners = as_value(boxes)
    numbers = as_value(scores, like=corners)
    least = None if score_threshold is None else _number(score_threshold, corners.dtype)
    op = NonMaxSuppression((fresh_size("selected"),))
    bounds = _number(max_output_size, DType.INT64), _number(iou_threshold, corners.dtype), least
    rows = apply(op, reshape(corners, (1, *corners.type.shape)), reshape(numbers, (1, 1, *numbers.type.shape)), *bounds)
    return cast(squeeze(take(rows, np.asarray([2], np.int32), axis=1), 1), DType.INT32)
