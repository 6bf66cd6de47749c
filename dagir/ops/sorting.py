"""Sorting, the largest elements, and positions in sorted sequences. Names and meanings are those of keras.ops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dagir.errors import ArgumentError, DTypeError, ShapeError
from dagir.ir.graph import Op, Operand, Types, Value, apply, apply_node
from dagir.ir.operands import as_value
from dagir.ir.rounding import EXACT
from dagir.ir.types import DType, TensorType, normalize_axis
from dagir.ops.elementwise import cast
from dagir.ops.logic import equal, logical_not
from dagir.ops.operands import reference, require, same_dtype
from dagir.ops.reduce import any as reduce_any
from dagir.ops.shape import expand_dims, reshape

__all__ = [
    "ArgSort",
    "SearchSorted",
    "Sort",
    "TopK",
    "argsort",
    "digitize",
    "isin",
    "searchsorted",
    "sort",
    "top_k",
]


@dataclass(frozen=True)
class Sort(Op):
    """x: t[*s] -> t[*s]: ascending along `axis`.  NumPy sort; ONNX TopK-11."""

    rounding = EXACT
    axis: int

    def infer(self, x: TensorType) -> Types:
        """The type of x."""
        require("number", x)
        normalize_axis(self.axis, x.rank)
        return (x,)


@dataclass(frozen=True)
class ArgSort(Op):
    """x: t[*s] -> int32[*s]: the places that sort x along `axis`, equal elements in their order.  ONNX TopK-11."""

    rounding = EXACT
    axis: int

    def infer(self, x: TensorType) -> Types:
        """The shape of x, int32."""
        require("number", x)
        normalize_axis(self.axis, x.rank)
        return (x.with_dtype(DType.INT32),)


@dataclass(frozen=True)
class TopK(Op):
    """x: t[*s, n] -> t[*s, k], int32[*s, k]: the k largest, largest first, and their places.

    With largest=False the k smallest, smallest first. `axis` may be another one than the last; dtype is int32 or int64.
    Of equal elements the first comes first.  ONNX TopK-11.
    """

    rounding = EXACT
    k: int
    axis: int = -1
    largest: bool = True
    dtype: DType = DType.INT32

    def infer(self, x: TensorType) -> Types:
        """The shape of x, its last axis k."""
        require("number", x)
        if self.k < 0:
            raise ArgumentError(f"top_k takes k of at least 0, got {self.k}")
        if x.rank < 1:
            raise ShapeError("top_k takes a value of rank 1 or more")
        axis = normalize_axis(self.axis, x.rank)
        size = x.shape[axis]
        if isinstance(size, int) and self.k > size:
            which = "the last axis" if axis == x.rank - 1 else f"axis {axis}"
            raise ShapeError(f"{which} has {size} elements, top_k asks for {self.k}", marks={0: [axis]})
        found = x.with_shape((*x.shape[:axis], self.k, *x.shape[axis + 1 :]))
        return (found, found.with_dtype(self.dtype))


@dataclass(frozen=True)
class SearchSorted(Op):
    """sorted: t[n], values: t[*s] -> int32[*s]: how many elements of `sorted` are below a value, or not above it.

    side: "left" counts those below, "right" those not above.  NumPy searchsorted.
    """

    rounding = EXACT
    operands = ("sorted", "values")
    side: str = "left"

    def infer(self, sorted: TensorType, values: TensorType) -> Types:
        """The shape of values, int32."""
        same_dtype(sorted, values)
        require("number", sorted)
        if sorted.rank != 1:
            raise ShapeError(f"searchsorted takes a sorted sequence of rank 1, got {sorted.rank}")
        if self.side not in ("left", "right"):
            raise ArgumentError(f"side is 'left' or 'right', got {self.side!r}")
        return (values.with_dtype(DType.INT32),)


def _along(x: Operand, axis: int | None) -> tuple[Value, int]:
    """x and the axis from the front; x flattened where axis is None."""
    value = as_value(x)
    return (reshape(value, (-1,)), 0) if axis is None else (value, normalize_axis(axis, value.ndim))


def sort(x: Operand, axis: int | None = -1) -> Value:
    """x ascending along the axis; flattened first where axis is None.

    The place of NaN is not defined: it is last in NumPy and onnxruntime, and anywhere in TensorFlow, which then also
    misplaces the other elements.

    >>> show(ops.sort([3, 1, 2]))
    [1, 2, 3]
    """
    value, place = _along(x, axis)
    return apply(Sort(place), value)


def argsort(x: Operand, axis: int | None = -1) -> Value:
    """The places that sort x along the axis, int32; equal elements stay in their order.

    >>> show(ops.argsort([3, 1, 2]))
    [1, 2, 0]
    """
    value, place = _along(cast(x, DType.INT32) if as_value(x).dtype is DType.BOOL else x, axis)
    return apply(ArgSort(place), value)


def top_k(x: Operand, k: int, sorted: bool = True) -> tuple[Value, Value]:
    """The k largest of the last axis, largest first, and their places, int32. They are sorted in any case.

    >>> show(*ops.top_k([3, 9, 4], 2))
    [9, 4]
    [1, 2]
    """
    values, places = apply_node(TopK(int(k)), (as_value(x),)).outputs
    return values, places


def searchsorted(sorted_sequence: Operand, values: Operand, side: str = "left") -> Value:
    """The position of each value in a sorted sequence, int32: before equal elements with side "left", after them with
    "right".

    sorted_sequence: ascending, of rank 1. values: of any shape, which the result has. side: "left" or "right".

    >>> show(ops.searchsorted([1, 3, 5], [3, 4]))
    [1, 2]
    """
    value = as_value(values, like=reference(sorted_sequence))
    return apply(SearchSorted(side), as_value(sorted_sequence, like=value), value)


def digitize(x: Operand, bins: Operand) -> Value:
    """The number of the bin of each element, int32. bins: the ascending boundaries between the bins.

    >>> show(ops.digitize([0.2, 1.5, 9.0], [1.0, 2.0]))
    [0, 1, 2]
    """
    value = as_value(x)
    edges = as_value(bins, like=value)
    if edges.dtype.is_integer:
        common = _that_holds(value.dtype, edges.dtype) if value.dtype.is_integer else value.dtype
        value, edges = cast(value, common), cast(edges, common)
    return searchsorted(edges, value, "right")


def _that_holds(first: DType, second: DType) -> DType:
    """The integers in which those of both dtypes are what they are. Raises DTypeError for int64 and uint64."""
    common = DType.of(np.promote_types(first.numpy, second.numpy))
    if not common.is_integer:
        raise DTypeError(f"no dtype holds the integers of {first} and of {second}", remedy="cast one of them")
    return common


def isin(x1: Operand, x2: Operand, assume_unique: bool = False, invert: bool = False) -> Value:
    """Whether each element of x1 is one of x2's; with invert, whether it is none of them.

    assume_unique: no matter here.

    >>> show(ops.isin([1, 2, 3], [2, 5]))
    [False, True, False]
    """
    first = as_value(x1, like=reference(x2))
    found = reduce_any(equal(expand_dims(first, first.ndim), reshape(as_value(x2, like=first), (-1,))), axis=-1)
    return logical_not(found) if invert else found
