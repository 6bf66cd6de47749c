"""Arithmetic on sizes, done while the graph is read: Shape, Gather, Concat ... Reshape chains become named sizes.

`folded` comes before the rules. It computes an operator whose inputs are sizes and small constants of integers, and
leaves every other node to the rule of its operator.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from dagir import ops
from dagir.errors import ArgumentError
from dagir.ir.dims import Dim, SymbolicDim, max_dim, min_dim, substitute, symbol, symbols
from dagir.ir.graph import Constant, Value
from dagir.ir.types import Array, DType, normalize_axis
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.real_sizes import ceiled, divided_reals, floored, multiplied, plain, real_array
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.size_moves import MOVES, Folder, dtype_of_first, known_entries
from dagir_onnx.importing.tensors import (
    FOLDED,
    Sizes,
    Tensor,
    constant,
    constant_of,
    entries,
    is_never_negative,
    product,
    shape_of,
    sized,
    sizes_of,
)


def folded(call: NodeCall) -> Tensor | Sequence[Tensor] | None:
    """The outputs of a node that computes with sizes; None where the node belongs into the graph."""
    folder = _FOLDERS.get(call.op) if call.domain == "" else None
    if folder is None:
        return None
    try:
        return folder(call)
    except (ArgumentError, ValueError, IndexError, ZeroDivisionError):
        return None  # the rule raises the error with its place


@rule("Shape")
def _shape(call: NodeCall) -> Tensor | None:
    given = call.tensor(0)
    if given is None:
        return None
    shape = shape_of(given)
    return sizes_of(shape[call.attribute("start", 0) : call.attribute("end")])


@rule("Size")
def _size(call: NodeCall) -> Tensor | None:
    given = call.tensor(0)
    return None if given is None else sized(product(shape_of(given)), DType.INT64)


def _arithmetic(function: Callable[[Any, Any], Any]) -> Folder:
    def fold(call: NodeCall) -> Tensor | None:
        known = known_entries(call)
        if known is None or "broadcast" in call.attributes or dtype_of_first(call).is_float:
            return None
        if math.prod(np.broadcast_shapes(*(each.shape for each in known))) > FOLDED:
            return None
        made = known[0]
        for other in known[1:]:
            made = np.asarray(np.frompyfunc(function, 2, 1)(made, other), object)
        return sized(made, dtype_of_first(call)) if _fits(made, dtype_of_first(call)) else None

    return fold


def _fits(array: Array, dtype: DType) -> bool:
    limits = np.iinfo(dtype.numpy)
    return all(isinstance(part, SymbolicDim) or limits.min <= part <= limits.max for part in array.flat)


def divided(left: Dim, right: Dim) -> Dim:
    """Integers divided as ONNX does it: rounded toward zero."""
    if isinstance(left, int) and isinstance(right, int):
        quotient = abs(left) // abs(right)
        return quotient if (left < 0) == (right < 0) else -quotient
    if _is_size(left) and _is_size(right):
        return left // right
    if isinstance(right, int) and right > 0:
        return max_dim(left, 0) // right - max_dim(-1 * left, 0) // right
    raise ArgumentError("a quotient of sizes of any sign")


def _is_size(dim: Dim) -> bool:
    """Whether a size is 0 or more wherever the sizes in it are 1 or more."""
    return is_never_negative(substitute(dim, {name: symbol(name) + 1 for name in symbols(dim)}))


def _modulo(call: NodeCall) -> Tensor | Sequence[Tensor] | None:
    return None if call.attribute("fmod", 0) else _arithmetic(operator.mod)(call)


def _unary(function: Callable[[Any], Any]) -> Folder:
    def fold(call: NodeCall) -> Tensor | None:
        known = known_entries(call)
        return None if known is None else sized(np.frompyfunc(function, 1, 1)(known[0]), dtype_of_first(call))

    return fold


def _absolute(dim: Dim) -> Dim:
    return abs(dim) if isinstance(dim, int) else max_dim(dim, -1 * dim)


def _reduced(function: Callable[[Any, Any], Any], start: int | None) -> Folder:
    def fold(call: NodeCall) -> Tensor | None:
        known = None if call.tensor(0) is None else entries(call.tensors[0])  # type: ignore[arg-type]
        if known is None:
            return None
        axes = call.axes()
        if axes is None and call.attribute("noop_with_empty_axes", 0):
            return call.tensors[0]
        keep = bool(call.attribute("keepdims", 1))
        places = range(known.ndim) if axes is None else [normalize_axis(axis, known.ndim) for axis in axes]
        rest = [axis for axis in range(known.ndim) if axis not in places]
        flat = np.transpose(known, [*rest, *places]).reshape(*(known.shape[axis] for axis in rest), -1)
        if not flat.shape[-1] and start is None:
            return None
        made = np.empty(flat.shape[:-1], object)
        for place in np.ndindex(made.shape):
            parts = list(flat[place])
            total = parts.pop(0) if start is None else start
            for part in parts:
                total = function(total, part)
            made[place] = total
        shape = [1 if axis in places else known.shape[axis] for axis in range(known.ndim)] if keep else made.shape
        made = made.reshape(shape)
        return sized(made, dtype_of_first(call)) if _fits(made, dtype_of_first(call)) else None

    return fold


# ---- casts


def _cast(call: NodeCall) -> Tensor | None:
    given, target = call.tensor(0), call.dtype("to")
    if not isinstance(given, Sizes) or target.numpy.itemsize < 4:
        return None
    if target.is_integer and given.dtype.is_float:  # toward zero, which is down for what is a size
        return sized(np.frompyfunc(_whole, 1, 1)(given.array), target)
    return Sizes(given.array, target) if target.is_integer or target.is_float else None


def _whole(number: object) -> Dim:
    if isinstance(number, Fraction):
        return int(number)
    found = floored(number)
    if isinstance(found, SymbolicDim) and not _is_size(found):
        raise ArgumentError("a number of any sign")
    return found


# ---- sizes as floats


def _is_real(call: NodeCall) -> bool:
    return any(isinstance(each, Sizes) and each.dtype.is_float for each in call.tensors)


def _real_entries(data: Tensor | None) -> Array | None:
    """The entries of a tensor of floats that are known: sizes, and simple fractions."""
    if isinstance(data, Sizes):
        return data.array
    array = constant_of(data)
    return None if array is None or array.size > FOLDED else real_array(array)


def _on_reals(function: Callable[[Any, Any], Any], of_integers: Folder) -> Folder:
    """A folder of two operands: of floats where one of them is a size, else of integers."""

    def fold(call: NodeCall) -> Tensor | Sequence[Tensor] | None:
        if not _is_real(call):
            return of_integers(call)
        left, right = _real_entries(call.tensor(0)), _real_entries(call.tensor(1))
        if left is None or right is None or "broadcast" in call.attributes:
            return None
        made = np.frompyfunc(lambda x, y: plain(function(x, y)), 2, 1)(left, right)
        return sized(made, dtype_of_first(call))

    return fold


def _rounded(function: Callable[[Any], Dim]) -> Folder:
    def fold(call: NodeCall) -> Tensor | None:
        given = call.tensor(0)
        return sized(np.frompyfunc(function, 1, 1)(given.array), given.dtype) if isinstance(given, Sizes) else None

    return fold


def _identity(call: NodeCall) -> Tensor | None:
    return call.tensor(0)


def _range(call: NodeCall) -> Tensor | None:
    known = known_entries(call)
    if known is None:
        return None
    start, limit, step = (each.reshape(()).item() for each in known)
    if not all(isinstance(each, int) for each in (start, limit, step)) or not step:
        return None
    numbers = range(start, limit, step)
    return sized(np.asarray(numbers, object), dtype_of_first(call)) if len(numbers) <= FOLDED else None


def _constant_of_shape(call: NodeCall) -> Tensor | None:
    shape, filling = call.array(0), call.attribute("value")
    if shape is None or filling is None or filling.dtype.kind not in "iu" or math.prod(shape.tolist()) > FOLDED:
        return None
    return constant(np.full(shape.tolist(), filling.reshape(()), filling.dtype))


# ---- deciding


def _comparison(test: Callable[[int], bool], always: Mapping[int, bool]) -> Folder:
    """A folder of a comparison. always: the result where the difference is above 0 (1) or below it (-1) for certain."""

    def decide(left: Dim, right: Dim) -> bool | None:
        difference = left - right
        if isinstance(difference, int):
            return test(difference)
        if is_never_negative(difference - 1):
            return always[1]
        return always[-1] if is_never_negative(-1 * difference - 1) else None

    def fold(call: NodeCall) -> Tensor | None:
        known = known_entries(call)
        if known is None or "broadcast" in call.attributes:
            return None
        made = np.asarray(np.frompyfunc(decide, 2, 1)(*known), object)
        return None if any(each is None for each in made.flat) else constant(made.astype(bool))

    return fold


def _equal(call: NodeCall) -> Tensor | Sequence[Tensor] | None:
    """Whether sizes are equal. Where it is open for one pair, the pair is noted, for an If that hangs on it."""
    found = _comparison(lambda d: d == 0, {1: False, -1: False})(call)
    known = None if found is not None else known_entries(call)
    if known is None or "broadcast" in call.attributes or any(each.size != 1 for each in known):
        return found
    open_one = ops.equal(call.input(0), call.input(1))
    call.reader.equalities[open_one] = (known[0].reshape(()).item(), known[1].reshape(()).item())
    return open_one


def _where(call: NodeCall) -> Tensor | None:
    condition = call.tensor(0)
    chosen = None if condition is None else constant_of(condition)
    first, second = call.tensor(1), call.tensor(2)
    if chosen is None or first is None or second is None:
        return None
    left, right = entries(first), entries(second)
    return None if left is None or right is None else sized(np.where(chosen, left, right), first.dtype)


def is_constant(tensor: object) -> bool:
    """Whether the numbers are those of a small constant."""
    return isinstance(tensor, Value) and isinstance(tensor.source, Constant) and tensor.source.array.size <= FOLDED


_FOLDERS: dict[str, Folder] = {
    "Shape": _shape,
    "Size": _size,
    "Add": _arithmetic(operator.add),
    "Sub": _arithmetic(operator.sub),
    "Mul": _on_reals(multiplied, _arithmetic(operator.mul)),
    "Div": _on_reals(divided_reals, _arithmetic(divided)),
    "Floor": _rounded(floored),
    "Ceil": _rounded(ceiled),
    "Mod": _modulo,
    "Min": _arithmetic(min_dim),
    "Max": _arithmetic(max_dim),
    "Neg": _unary(lambda dim: dim * -1),
    "Abs": _unary(_absolute),
    "ReduceProd": _reduced(operator.mul, 1),
    "ReduceSum": _reduced(operator.add, 0),
    "ReduceMax": _reduced(max_dim, None),
    "ReduceMin": _reduced(min_dim, None),
    **MOVES,
    "Cast": _cast,
    "Identity": _identity,
    "Range": _range,
    "ConstantOfShape": _constant_of_shape,
    "Equal": _equal,
    "Less": _comparison(lambda d: d < 0, {1: False, -1: True}),
    "LessOrEqual": _comparison(lambda d: d <= 0, {1: False, -1: True}),
    "Greater": _comparison(lambda d: d > 0, {1: True, -1: False}),
    "GreaterOrEqual": _comparison(lambda d: d >= 0, {1: True, -1: False}),
    "Where": _where,
}

__all__ = ["divided", "folded", "is_constant"]
