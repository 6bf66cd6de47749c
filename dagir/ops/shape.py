"""Ops that move elements and compute none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim, SymbolicDim, max_dim, min_dim
from dagir.ir.graph import Op, Operand, Types, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import EXACT
from dagir.ir.types import Equations, Inferred, Shape, TensorType, normalize_axes, normalize_axis
from dagir.ops.operands import same_dtype

__all__ = [
    "BroadcastTo",
    "Concatenate",
    "ExpandDims",
    "Gather",
    "Reshape",
    "Slice",
    "Squeeze",
    "Tile",
    "Transpose",
    "broadcast_to",
    "concatenate",
    "expand_dims",
    "flip",
    "reshape",
    "shape",
    "squeeze",
    "take",
    "transpose",
]


@dataclass(frozen=True)
class Reshape(Op):
    """x: t[*s] -> t[*target], elements in row-major order; one size of the target may be -1.  ONNX Reshape-14."""

    rounding = EXACT
    moves_only = True
    shape_fields = ("target",)
    target: Shape

    def infer(self, x: TensorType) -> Inferred:
        """The target, -1 worked out."""
        equations = Equations()
        open_axes = [axis for axis, size in enumerate(self.target) if size == -1]
        if len(open_axes) > 1:
            raise ShapeError(f"reshape target {self.target} holds -1 twice", remedy="at most one size may be -1")
        total, known = _without_common(x.shape, self.target)
        if not open_axes:
            if equations.equate(total, known) is None:
                raise self._mismatch(x)
            return equations.inferred(x.with_shape(self.target))
        if known == 0 or (isinstance(total, int) and isinstance(known, int) and total % known):
            raise self._mismatch(x)
        rest = total // known
        if equations.equate(rest * known, total) is None:
            raise self._mismatch(x)
        axis = open_axes[0]
        return equations.inferred(x.with_shape((*self.target[:axis], rest, *self.target[axis + 1 :])))

    def _mismatch(self, x: TensorType) -> ShapeError:
        return ShapeError(
            f"cannot reshape {prod(x.shape, start=1)} elements to {self.target}",
            remedy="the product of the target's sizes must be the number of elements",
        )


def _without_common(sizes: Shape, target: Shape) -> tuple[Dim, Dim]:
    """The products of the sizes without the unknown ones that both have: [batch, 8] to [batch, 9] is surely wrong."""
    left, right = list(sizes), [size for size in target if size != -1]
    for size in sizes:
        if isinstance(size, SymbolicDim) and size in right:
            left.remove(size)
            right.remove(size)
    return prod(left, start=1), prod(right, start=1)


@dataclass(frozen=True)
class Transpose(Op):
    """x: t[s0, s1, ...] -> t[s[axes[0]], s[axes[1]], ...].  ONNX Transpose-13."""

    rounding = EXACT
    moves_only = True
    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> Types:
        """The permuted shape."""
        if sorted(self.axes) != list(range(x.rank)):
            raise ArgumentError(f"axes {self.axes} are no permutation of the {x.rank} axes of x")
        return (x.with_shape(tuple(x.shape[axis] for axis in self.axes)),)


@dataclass(frozen=True)
class ExpandDims(Op):
    """x: t[*s] -> t[*s with 1 inserted], `axis` counted in the result.  ONNX Unsqueeze-13."""

    rounding = EXACT
    moves_only = True
    axis: int

    def infer(self, x: TensorType) -> Types:
        """The shape with a new axis of size 1."""
        axis = normalize_axis(self.axis, x.rank + 1)
        return (x.with_shape((*x.shape[:axis], 1, *x.shape[axis:])),)


@dataclass(frozen=True)
class Squeeze(Op):
    """x: t[*s] -> t[*s without `axes`], which have size 1.  ONNX Squeeze-13."""

    rounding = EXACT
    moves_only = True
    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> Inferred:
        """The shape without the axes."""
        equations = Equations()
        axes = normalize_axes(self.axes, x.rank)
        for axis in axes:
            if equations.equate(x.shape[axis], 1) is None:
                raise ShapeError(f"axis {axis} has size {x.shape[axis]}, only 1 can go", marks={0: [axis]})
        kept = tuple(size for axis, size in enumerate(x.shape) if axis not in axes)
        return equations.inferred(x.with_shape(kept))


@dataclass(frozen=True)
class BroadcastTo(Op):
    """x: t[*s] -> t[*target] by repeating axes of size 1.  ONNX Expand-13."""

    rounding = EXACT
    moves_only = True
    shape_fields = ("target",)
    target: Shape

    def infer(self, x: TensorType) -> Inferred:
        """The target."""
        equations = Equations()
        if equations.broadcast(x.shape, self.target) != self.target:
            raise ShapeError(f"{x} does not broadcast to {self.target}")
        return equations.inferred(x.with_shape(self.target))


@dataclass(frozen=True)
class Concatenate(Op):
    """xs: t[*a, n_i, *c]* -> t[*a, sum n_i, *c] along `axis`.  ONNX Concat-13."""

    rounding = EXACT
    moves_only = True
    operands = ("*xs",)
    axis: int

    def infer(self, *xs: TensorType) -> Inferred:
        """The first shape, sizes along the axis added up."""
        equations = Equations()
        if not xs:
            raise ArgumentError("concatenate takes at least one value")
        dtype = same_dtype(*xs)
        first = xs[0]
        axis = normalize_axis(self.axis, first.rank)
        shape = list(first.shape)
        for index, x in enumerate(xs[1:], start=1):
            if x.rank != first.rank:
                raise ShapeError(
                    f"concatenate takes values of one rank, got {first.rank} and {x.rank}",
                    remedy="give them the same number of axes: ops.expand_dims, ops.reshape, or layers.Flatten",
                )
            for other in range(first.rank):
                if other == axis:
                    shape[axis] = shape[axis] + x.shape[axis]
                    continue
                agreed = equations.equate(shape[other], x.shape[other])
                if agreed is None:
                    raise ShapeError(
                        f"sizes differ on axis {other}, and only axis {axis} is concatenated",
                        marks={0: [other], index: [other]},
                        remedy="make the marked sizes equal, or concatenate along that axis",
                    )
                shape[other] = agreed
        return equations.inferred(TensorType(dtype, tuple(shape)))


@dataclass(frozen=True)
class Slice(Op):
    """x: t[*s] -> t[*r]: on each of `axes` from start to stop by step, as Python slices it.  ONNX Slice-13.

    A stop of None runs to the end (to before the beginning for a negative step).
    """

    rounding = EXACT
    moves_only = True
    axes: tuple[int, ...]
    starts: tuple[int, ...]
    stops: tuple[int | None, ...]
    steps: tuple[int, ...]

    def infer(self, x: TensorType) -> Types:
        """Sizes as Python's slice gives them; for an unknown size an expression."""
        shape = list(x.shape)
        for axis, start, stop, step in zip(self.axes, self.starts, self.stops, self.steps, strict=True):
            size = shape[axis]
            if isinstance(size, int):
                shape[axis] = len(range(*slice(start, stop, step).indices(size)))
            else:
                shape[axis] = _symbolic_length(size, start, stop, step)
        return (x.with_shape(tuple(shape)),)


def _symbolic_length(size: Dim, start: int, stop: int | None, step: int) -> Dim:
    if step < 0:
        last = size - 1
        first = min_dim(start, last) if start >= 0 else last + (start + 1)
        end = -1 if stop is None else (min_dim(stop, last) if stop >= 0 else max_dim(last + (stop + 1), -1))
        return max_dim((first - end + (-step - 1)) // -step, 0)
    first = min_dim(start, size) if start >= 0 else max_dim(size + start, 0)
    end = size if stop is None else (min_dim(stop, size) if stop >= 0 else max_dim(size + stop, 0))
    return max_dim((end - first + (step - 1)) // step, 0)


@dataclass(frozen=True)
class Tile(Op):
    """x: t[*s] -> t[s * repeats].  ONNX Tile-13."""

    rounding = EXACT
    moves_only = True
    repeats: tuple[int, ...]

    def infer(self, x: TensorType) -> Types:
        """Each size times its repeat."""
        if len(self.repeats) != x.rank:
            raise ShapeError(f"tile takes a count for each axis: {x.rank} axes, {len(self.repeats)} counts")
        return (x.with_shape(tuple(size * n for size, n in zip(x.shape, self.repeats, strict=True))),)


@dataclass(frozen=True)
class Gather(Op):
    """x: t[*a, n, *c], indices: int[*s] -> t[*a, *s, *c] along `axis`.  keras.ops.take; ONNX Gather-13.

    Negative indices count from the end; an index out of range is an error when run.
    """

    rounding = EXACT
    moves_only = True
    operands = ("x", "indices")
    axis: int

    def infer(self, x: TensorType, indices: TensorType) -> Types:
        """The axis replaced by the shape of the indices."""
        axis = normalize_axis(self.axis, x.rank)
        if not indices.dtype.is_integer:
            raise ArgumentError(f"indices must be integers, got {indices.dtype}")
        return (x.with_shape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])),)


def shape(x: Operand) -> tuple[Dim, ...]:
    """The sizes: ints, and named sizes that can be used in the target of reshape.

    >>> ops.shape(dagir.Input(("time", 3)))
    (batch, time, 3)
    """
    return as_value(x).type.shape


def _dims(sizes: Sequence[Any], x: Value) -> Shape:
    for size in sizes:
        if isinstance(size, bool) or not (isinstance(size, (int, SymbolicDim, np.integer)) and size is not None):
            raise ArgumentError(
                f"{size!r} is not a size for a target shape",
                remedy=f"use ints, -1, or sizes from ops.shape(x): {x.type}",
            )
    return tuple(size if isinstance(size, SymbolicDim) else int(size) for size in sizes)


def reshape(x: Operand, newshape: Dim | Sequence[Dim | None]) -> Value:
    """The same elements in another shape; one size may be -1.

    newshape: sizes, ints or named ones. Raises ShapeError where the elements are not as many.

    >>> show(ops.reshape([1, 2, 3, 4], (2, -1)))
    [[1, 2], [3, 4]]
    """
    value = as_value(x)
    sizes = [newshape] if isinstance(newshape, (int, SymbolicDim)) else newshape
    return apply(Reshape(_dims(sizes, value)), value)


def transpose(x: Operand, axes: Sequence[int] | None = None) -> Value:
    """Axes permuted; reversed by default.

    axes: for each axis of the result the axis of x.

    >>> show(ops.transpose([[1, 2], [3, 4]]))
    [[1, 3], [2, 4]]
    """
    value = as_value(x)
    order = range(value.ndim)[::-1] if axes is None else [normalize_axis(axis, value.ndim) for axis in axes]
    return apply(Transpose(tuple(order)), value)


def expand_dims(x: Operand, axis: int | Sequence[int]) -> Value:
    """A new axis of size 1 at `axis` of the result, or at each of several.

    >>> show(ops.expand_dims([1, 2], 0))
    [[1, 2]]
    """
    value = as_value(x)
    axes: Sequence[Any] = axis if isinstance(axis, (list, tuple)) else [axis]
    rank = value.ndim + len(axes)
    places = sorted(normalize_axis(each, rank) for each in axes)
    if len(set(places)) < len(places):
        raise ArgumentError(f"expand_dims takes different axes, got {axis}")
    for place in places:
        value = apply(ExpandDims(place), value)
    return value


def squeeze(x: Operand, axis: int | Sequence[int] | None = None) -> Value:
    """Axes of size 1 dropped; by default all of them.

    >>> show(ops.squeeze([[1, 2]]))
    [1, 2]
    """
    value = as_value(x)
    ones = [i for i, size in enumerate(value.type.shape) if size == 1]
    return apply(Squeeze(tuple(ones) if axis is None else normalize_axes(axis, value.ndim)), value)


def broadcast_to(x: Operand, shape: Sequence[Dim | None]) -> Value:
    """x repeated along axes of size 1 until it has the shape.

    >>> show(ops.broadcast_to([1, 2], (2, 2)))
    [[1, 2], [1, 2]]
    """
    value = as_value(x)
    return apply(BroadcastTo(_dims(shape, value)), value)


def concatenate(xs: Sequence[Operand], axis: int = 0) -> Value:
    """Values joined along an axis.

    >>> show(ops.concatenate(([1, 2], [3])))
    [1, 2, 3]
    """
    values = [as_value(x) for x in xs]
    if not values:
        raise ArgumentError("concatenate takes at least one value")
    return apply(Concatenate(normalize_axis(axis, values[0].ndim)), *values)


def flip(x: Operand, axis: int | Sequence[int] | None = None) -> Value:
    """Elements in reverse order along the axes.

    >>> show(ops.flip([1, 2, 3]))
    [3, 2, 1]
    """
    value = as_value(x)
    axes = normalize_axes(axis, value.ndim)
    count = len(axes)
    return apply(Slice(axes, (-1,) * count, (None,) * count, (-1,) * count), value)


def take(x: Operand, indices: Operand, axis: int | None = None) -> Value:
    """The entries of x at `indices` along an axis; of x flattened where axis is None.

    >>> show(ops.take([10, 20, 30], [2, 0]))
    [30, 10]
    """
    value = as_value(x) if axis is not None else reshape(x, (-1,))
    return apply(Gather(normalize_axis(axis or 0, value.ndim)), value, as_value(indices))
