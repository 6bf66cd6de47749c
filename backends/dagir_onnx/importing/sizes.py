"""Arithmetic on sizes, done while the graph is read: Shape, Gather, Concat ... Reshape chains become named sizes.

`folded` comes before the rules. It computes an operator whose inputs are sizes and small constants of integers, and
leaves every other node to the rule of its operator.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dagir.errors import ArgumentError
from dagir.ir.dims import Dim, SymbolicDim, max_dim, min_dim, substitute, symbol, symbols
from dagir.ir.graph import Constant, Value
from dagir.ir.types import Array, DType, normalize_axis
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule
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

Folder = Callable[[NodeCall], "Tensor | Sequence[Tensor] | None"]


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


def _known(call: NodeCall) -> list[Array] | None:
    """The inputs as arrays of ints and sizes, if all of them are known."""
    found = [None if each is None else entries(each) for each in call.tensors]
    listed = [each for each in found if each is not None]
    return listed if listed and len(listed) == len(found) else None


def _dtype(call: NodeCall) -> DType:
    given = call.tensors[0]
    assert given is not None
    return given.dtype


def _arithmetic(function: Callable[[Any, Any], Any]) -> Folder:
    def fold(call: NodeCall) -> Tensor | None:
        known = _known(call)
        if known is None or "broadcast" in call.attributes:
            return None
        if math.prod(np.broadcast_shapes(*(each.shape for each in known))) > FOLDED:
            return None
        made = known[0]
        for other in known[1:]:
            made = np.asarray(np.frompyfunc(function, 2, 1)(made, other), object)
        return sized(made, _dtype(call)) if _fits(made, _dtype(call)) else None

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
        known = _known(call)
        return None if known is None else sized(np.frompyfunc(function, 1, 1)(known[0]), _dtype(call))

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
        return sized(made, _dtype(call)) if _fits(made, _dtype(call)) else None

    return fold


# ---- moving sizes


def _of_first(function: Callable[[NodeCall, Array], Array | None]) -> Folder:
    """A folder of an operator that moves the elements of its first input."""

    def fold(call: NodeCall) -> Tensor | None:
        given = call.tensor(0)
        known = None if given is None else entries(given)
        made = None if known is None else function(call, known)
        return None if made is None else sized(made, _dtype(call))

    return fold


def _gather(call: NodeCall, known: Array) -> Array | None:
    indices = call.array(1)
    if indices is None:
        return None
    axis = normalize_axis(call.attribute("axis", 0), known.ndim)
    return np.asarray(known.take(indices.astype(np.int64), axis), object)


def _slice(call: NodeCall, known: Array) -> Array | None:
    parts = [call.setting(name) for name in ("starts", "ends")]
    if any(part is None or constant_of(part) is None for part in parts):
        return None
    starts, ends = (np.asarray(constant_of(part)).tolist() for part in parts)
    axes = call.axes() or tuple(range(len(starts)))
    steps = call.ints(4, "steps") if call.tensor(4) is not None else (1,) * len(starts)
    keys = [slice(None)] * known.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        size = known.shape[axis]
        last = None if step < 0 and end < -size else end
        keys[axis] = slice(start if step > 0 or start >= -size else 0, last, step)
    return known[tuple(keys)]


def _squeeze(call: NodeCall, known: Array) -> Array:
    axes = call.axes()
    return np.squeeze(known, None if axes is None else tuple(axes))


def _unsqueeze(call: NodeCall, known: Array) -> Array:
    return np.expand_dims(known, call.axes() or ())


def _reshape(call: NodeCall, known: Array) -> Array | None:
    shape = call.setting("shape")
    target = None if shape is None else constant_of(shape)
    if target is None:
        return None
    zero = call.attribute("allowzero", 0)
    return known.reshape([known.shape[axis] if size == 0 and not zero else size for axis, size in enumerate(target)])


def _expand(call: NodeCall, known: Array) -> Array | None:
    target = call.array(1)
    if target is None or math.prod(target.tolist()) > FOLDED:
        return None
    return np.broadcast_to(known, np.broadcast_shapes(known.shape, tuple(target.tolist())))


def _concat(call: NodeCall) -> Tensor | None:
    known = _known(call)
    if known is None or sum(each.size for each in known) > FOLDED:
        return None
    return sized(np.concatenate(known, call.attribute("axis", 1)), _dtype(call))


def _split(call: NodeCall) -> Sequence[Tensor] | None:
    given = call.tensor(0)
    known = None if given is None else entries(given)
    parts = call.setting("split")
    if known is None:
        return None
    axis = normalize_axis(call.attribute("axis", 0), known.ndim)
    if parts is None:
        count = len(call.outputs)
        size = -(-known.shape[axis] // count)
        ends = [size * (place + 1) for place in range(count - 1)]
    else:
        lengths = constant_of(parts)
        if lengths is None:
            return None
        ends = np.cumsum(lengths)[:-1].tolist()
    return [sized(part, _dtype(call)) for part in np.split(known, ends, axis)]


def _cast(call: NodeCall) -> Tensor | None:
    given, target = call.tensor(0), call.dtype("to")
    if isinstance(given, Sizes) and target.is_integer and target.numpy.itemsize >= 4:
        return Sizes(given.array, target)
    return None


def _identity(call: NodeCall) -> Tensor | None:
    return call.tensor(0)


def _range(call: NodeCall) -> Tensor | None:
    known = _known(call)
    if known is None:
        return None
    start, limit, step = (each.reshape(()).item() for each in known)
    if not all(isinstance(each, int) for each in (start, limit, step)) or not step:
        return None
    numbers = range(start, limit, step)
    return sized(np.asarray(numbers, object), _dtype(call)) if len(numbers) <= FOLDED else None


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
        known = _known(call)
        if known is None or "broadcast" in call.attributes:
            return None
        made = np.asarray(np.frompyfunc(decide, 2, 1)(*known), object)
        return None if any(each is None for each in made.flat) else constant(made.astype(bool))

    return fold


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
    "Mul": _arithmetic(operator.mul),
    "Div": _arithmetic(divided),
    "Mod": _modulo,
    "Min": _arithmetic(min_dim),
    "Max": _arithmetic(max_dim),
    "Neg": _unary(lambda dim: dim * -1),
    "Abs": _unary(_absolute),
    "ReduceProd": _reduced(operator.mul, 1),
    "ReduceSum": _reduced(operator.add, 0),
    "ReduceMax": _reduced(max_dim, None),
    "ReduceMin": _reduced(min_dim, None),
    "Gather": _of_first(_gather),
    "Slice": _of_first(_slice),
    "Squeeze": _of_first(_squeeze),
    "Unsqueeze": _of_first(_unsqueeze),
    "Reshape": _of_first(_reshape),
    "Expand": _of_first(_expand),
    "Concat": _concat,
    "Split": _split,
    "Cast": _cast,
    "Identity": _identity,
    "Range": _range,
    "ConstantOfShape": _constant_of_shape,
    "Equal": _comparison(lambda d: d == 0, {1: False, -1: False}),
    "Less": _comparison(lambda d: d < 0, {1: False, -1: True}),
    "LessOrEqual": _comparison(lambda d: d <= 0, {1: False, -1: True}),
    "Greater": _comparison(lambda d: d > 0, {1: True, -1: False}),
    "GreaterOrEqual": _comparison(lambda d: d >= 0, {1: True, -1: False}),
    "Where": _where,
}

__all__ = ["divided", "folded", "is_constant"]
