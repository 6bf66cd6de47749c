"""Named sizes in place of numbers: a size as a value of the graph, and slices that end at a named size."""

from __future__ import annotations

from operator import index as as_int
from typing import Any

import numpy as np

from dagir.errors import ArgumentError
from dagir.ir.dims import Application, Dim, SymbolicDim, max_dim, min_dim, symbol
from dagir.ir.graph import Constant, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.types import DType
from dagir.ops.arithmetic import add, floor_divide, maximum, minimum, multiply
from dagir.ops.cumulative import CumSum
from dagir.ops.reduce import sum as reduce_sum
from dagir.ops.shape import broadcast_to, take


def measured(dim: Dim) -> Value:
    """A size as an int32 scalar of the graph: the number of ones that fill an axis of this size."""
    if not isinstance(dim, SymbolicDim):
        return Constant(np.asarray(dim, DType.INT32.numpy)).value
    total: Value | None = None
    for monomial, coefficient in dim.terms:
        product: Value | None = None
        for atom in monomial:
            factor = _measured_atom(atom)
            product = factor if product is None else multiply(product, factor)
        if product is None:
            product = measured(coefficient)
        elif coefficient != 1:
            product = multiply(product, coefficient)
        total = product if total is None else add(total, product)
    assert total is not None
    return total


def _measured_atom(atom: str | Application) -> Value:
    if isinstance(atom, str):
        return reduce_sum(broadcast_to(Constant(np.asarray(1, DType.INT32.numpy)).value, (symbol(atom),)))
    function = {"floordiv": floor_divide, "min": minimum, "max": maximum}[atom.function]
    return function(measured(atom.left), measured(atom.right))


def counted(count: Dim, start: Dim = 0, step: int = 1) -> Value:
    """start, start + step ...: `count` numbers of int32."""
    one = Constant(np.asarray(1, DType.INT32.numpy)).value
    places = apply(CumSum(0, exclusive=True), broadcast_to(one, (count,)))
    scaled = places if step == 1 else multiply(places, step)
    return scaled if start == 0 else add(scaled, as_value(start) if isinstance(start, int) else measured(start))


def slice_named(value: Value, axis: int, part: slice) -> tuple[Value, slice]:
    """The value cut along an axis by a slice with named sizes as bounds, and the slice that is left to do."""
    size = value.type.shape[axis]
    start, stop = _from_the_end(part.start, size), _from_the_end(part.stop, size)
    if stop == size and isinstance(stop, SymbolicDim):
        stop = None
    if not isinstance(start, SymbolicDim) and not isinstance(stop, SymbolicDim):
        return value, slice(start, stop, part.step)
    step = 1 if part.step is None else as_int(part.step)
    if step < 1:
        raise ArgumentError(
            f"a slice with the step {step} cannot begin or end at a named size", remedy="slice first, then ops.flip"
        )
    first = 0 if start is None else _clamped(start, size)
    last = size if stop is None else _clamped(stop, size)
    count = max_dim((last - first + (step - 1)) // step, 0)
    return take(value, counted(count, first, step), axis), slice(None)


def index_named(place: SymbolicDim, size: Dim) -> int | Value:
    """A position given by a named size; -1 if it is the last one."""
    found = _from_the_end(place, size)
    return found if isinstance(found, int) else measured(found)


def _from_the_end(bound: Any, size: Dim) -> Any:
    """The bound `time - 1` of an axis of size `time` as -1; other bounds as they are.

    `time - 2` stays: for time == 1 it is -1, which means the last element.
    """
    if not isinstance(bound, SymbolicDim):
        return bound
    return -1 if bound - size == -1 else bound


def _clamped(bound: Dim, size: Dim) -> Dim:
    """Where a slice begins or ends: negative bounds count from the end, and the result is inside the axis."""
    bound = bound if isinstance(bound, SymbolicDim) else as_int(bound)
    below = min_dim(bound, 0)
    if below == 0:
        return min_dim(bound, size)
    wrapped = bound + size * (-1 * max_dim(below, -1))
    return min_dim(max_dim(wrapped, 0), size)


__all__ = ["counted", "index_named", "measured", "slice_named"]
