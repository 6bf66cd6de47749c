"""Tensors as TensorFlow's functions have them while a graph is read: values of the graph, and tensors of sizes.

tf.shape(x) is an integer tensor whose numbers are partly known at run time only. It stays a tensor of sizes while it is
computed with, so that the shape that is made of it is known by name.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dagir import ops
from dagir.errors import ArgumentError
from dagir.ir.dims import Dim, SymbolicDim, max_dim, min_dim
from dagir.ir.graph import Constant, Value
from dagir.ir.types import Array, DType
from dagir.ops.size_tensors import FOLDED, Sizes, Tensor, constant_of, entries, shape_of
from dagir.ops.sizes import measured
from dagir_keras.reading.problems import Refused

_DATA = (bool, int, float, np.ndarray, np.generic, list, tuple)


def is_tensor(data: object) -> bool:
    """Whether this is a tensor already, not data of Python."""
    return isinstance(data, (Value, Sizes))


def holds_tensor(data: Any) -> bool:
    """Whether there is a tensor, or a size, in it, at any depth of its lists."""
    return (
        is_tensor(data)
        or isinstance(data, SymbolicDim)
        or (isinstance(data, (list, tuple)) and any(map(holds_tensor, data)))
    )


def tensor(data: Any, dtype: DType | None = None, like: Any = None) -> Tensor:
    """Data as tf.convert_to_tensor has it: numbers are int32, float32 or bool, or take the dtype of `like`."""
    if isinstance(data, (Value, Sizes)):
        return data
    if isinstance(data, SymbolicDim):
        return sized(np.asarray(data, object), dtype or DType.INT32)
    if holds_tensor(data):
        return _packed(data, dtype or _first_dtype(data))
    return _constant(data, dtype or (like.dtype if is_tensor(like) else None))


def _constant(data: Any, dtype: DType | None) -> Value:
    if not isinstance(data, _DATA):
        raise Refused(f"it takes a tensor where the file has {str(data)[:60]!r}")
    try:
        array = np.asarray(data)
    except ValueError:  # rows of different lengths, or something between the numbers
        raise Refused(f"it takes numbers where the file has {str(data)[:60]}") from None
    if array.dtype.kind not in "biuf" and str(array.dtype) != "bfloat16":
        raise Refused(f"it takes numbers where the file has {str(data)[:60]!r}")
    if dtype is None:
        dtype = DType.of(array.dtype) if isinstance(data, (np.ndarray, np.generic)) else _default(array)
    elif array.dtype.kind == "f" and array.size and not dtype.is_float:
        raise Refused(f"it takes {dtype}, and the file has the float {str(data)[:60]}")
    elif (array.dtype.kind == "b") != (dtype is DType.BOOL) and array.size:
        raise Refused(f"it takes {dtype}, and the file has {str(data)[:60]}")
    if dtype.is_integer and array.size:
        limits = np.iinfo(dtype.numpy)
        if array.max() > limits.max or array.min() < limits.min:
            raise Refused(f"the number {str(data)[:60]} is no {dtype}")
    return Constant(array.astype(dtype.numpy)).value


def _default(array: Array) -> DType:
    if array.dtype.kind == "b":
        return DType.BOOL
    if array.dtype.kind == "f" or not array.size:
        return DType.FLOAT32
    return DType.INT32 if np.abs(array).max() < 1 << 31 else DType.INT64


def _first_dtype(data: Any) -> DType | None:
    if isinstance(data, (Value, Sizes)):
        return data.dtype
    parts = data if isinstance(data, (list, tuple)) else ()
    return next((found for found in map(_first_dtype, parts) if found is not None), None)


def _packed(data: Sequence[Any], dtype: DType | None) -> Tensor:
    """A list with tensors in it, stacked along a new first axis, as TensorFlow packs it."""
    return stacked([tensor(part, dtype) for part in data], 0)


def stacked(parts: Sequence[Tensor], axis: int) -> Tensor:
    """tf.stack."""
    known = [entries(part) for part in parts]
    if all(part is not None for part in known) and any(isinstance(part, Sizes) for part in parts):
        return sized(np.stack([part for part in known if part is not None], axis), parts[0].dtype)
    if all(part is not None for part in known) and parts[0].dtype.is_integer:
        return sized(np.stack([part for part in known if part is not None], axis), parts[0].dtype)
    return ops.stack([value(part) for part in parts], axis)


def sized(array: Array, dtype: DType) -> Tensor:
    """A tensor of these sizes: a constant, if all of them are known."""
    array = np.asarray(array, object)
    if any(isinstance(part, SymbolicDim) for part in array.flat):
        return Sizes(array, dtype)
    return Constant(array.astype(dtype.numpy)).value


def value(data: Tensor | Any) -> Value:
    """A tensor as a value of the graph: sizes are computed when the graph runs."""
    if isinstance(data, Value):
        return data
    if not isinstance(data, Sizes):
        return value(tensor(data))
    numbers = [ops.cast(measured(size), data.dtype) for size in data.array.flat]
    if data.ndim == 0:
        return numbers[0]
    flat = ops.stack(numbers)
    return flat if data.ndim == 1 else ops.reshape(flat, data.shape)


def dims(data: Any, what: str, computed: bool = True) -> tuple[Dim, ...]:
    """The entries of a vector, or of one number, as sizes; those that the data decide, as sizes of new names.

    computed: whether there may be such. Raises Refused.
    """
    if isinstance(data, (int, np.integer)) and not isinstance(data, bool):
        return (int(data),)
    if isinstance(data, (list, tuple)):
        return tuple(size for part in data for size in dims(part, what, computed))
    given = tensor(data)
    found = entries(given)
    if found is None and 0 in shape_of(given):
        return ()
    if found is None and computed and isinstance(given, Value) and given.dtype.is_integer:
        return tuple(map(_size_of, _elements(given, what)))
    if found is None:
        raise Refused(f"its {what} is computed from the data, so that shapes would depend on it")
    return tuple(part if isinstance(part, SymbolicDim) else int(part) for part in found.flat)


def _elements(given: Value, what: str) -> list[Value]:
    """The elements of a tensor of a known shape. Raises Refused for another one."""
    if not all(isinstance(size, int) for size in given.type.shape):
        raise Refused(f"its {what} is computed from the data, and how many numbers it has is not known")
    return list(ops.unstack(ops.reshape(given, (-1,)), axis=0)) if given.ndim else [given]


def _size_of(number: Value) -> Dim:
    return ops.size_from(number)


def ints(data: Any, what: str) -> tuple[int, ...]:
    """The same, all of them known while the graph is read."""
    found = dims(data, what, computed=False)
    for part in found:
        if isinstance(part, SymbolicDim):
            raise Refused(f"its {what} is {part}, which is known at run time only")
    return tuple(part for part in found if isinstance(part, int))


def integer(data: Any, what: str) -> int:
    """One number, known while the graph is read."""
    found = ints(data, what)
    if len(found) != 1:
        raise Refused(f"its {what} is one number, got {len(found)}")
    return found[0]


def number(data: Any, what: str) -> float:
    """One number of any kind, known while the graph is read."""
    if isinstance(data, (bool, int, float)):
        return data
    found = constant_of(tensor(data))
    if found is None or found.size != 1:
        raise Refused(f"its {what} is computed when the model runs, and must be a number")
    return float(found.reshape(()))


def pair(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Two operands: what is no tensor yet takes the dtype of the other."""
    if holds_tensor(x):
        first = tensor(x)
        return first, tensor(y, like=first)
    second = tensor(y)
    return tensor(x, like=second if holds_tensor(y) else None), second


def like(data: Any, other: Tensor) -> Value:
    """Data as a value of the dtype of another tensor."""
    return value(tensor(data, like=other))


# ---- computing while the graph is read


def _extreme(function: Callable[[Dim, Dim], Dim], on_arrays: Callable[..., Array]) -> Callable[..., Array]:
    elementwise = np.frompyfunc(function, 2, 1)
    return lambda x, y: np.asarray(elementwise(x, y), object) if x.dtype == object else on_arrays(x, y)


FOLDS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "floor_divide": operator.floordiv,
    "mod": operator.mod,
    "maximum": _extreme(max_dim, np.maximum),
    "minimum": _extreme(min_dim, np.minimum),
    "negative": operator.neg,
    "divide": operator.truediv,
}


def folded(name: str, *operands: Tensor) -> Tensor | None:
    """The result of arithmetic on sizes and small constants, computed now; None where it belongs into the graph."""
    known = [entries(operand) for operand in operands]
    dtype = operands[0].dtype
    try:
        if math.prod(np.broadcast_shapes(*[part.shape for part in known if part is not None])) > FOLDED:
            return None
        if all(part is not None for part in known):
            made = np.asarray(FOLDS[name](*known), object)
            return sized(made, dtype) if _fits(made, dtype) else None
        arrays = [constant_of(operand) for operand in operands]
        if not dtype.is_float or any(part is None or part.size > FOLDED for part in arrays):
            return None
        with np.errstate(all="ignore"):
            return Constant(np.asarray(FOLDS[name](*arrays), dtype.numpy)).value
    except (ZeroDivisionError, ArgumentError, ValueError):
        return None  # the op in the graph raises the error with its place


def _fits(array: Array, dtype: DType) -> bool:
    limits = np.iinfo(dtype.numpy)
    return all(isinstance(part, SymbolicDim) or limits.min <= part <= limits.max for part in array.flat)


def cast(data: Tensor, dtype: DType) -> Tensor:
    """tf.cast: sizes stay sizes in another integer dtype, and constants are cast now."""
    if data.dtype is dtype:
        return data
    if isinstance(data, Sizes) and dtype.is_integer and dtype.numpy.itemsize >= 4:
        return Sizes(data.array, dtype)
    array = constant_of(data)
    if array is not None and array.size <= FOLDED and (array.dtype.kind != "f" or np.isfinite(array).all()):
        return Constant(array.astype(dtype.numpy)).value
    return ops.cast(value(data), dtype)


def product(sizes: Sequence[Dim]) -> Dim:
    """The number of elements."""
    return math.prod(sizes, start=1)


__all__ = [
    "FOLDS",
    "Sizes",
    "Tensor",
    "cast",
    "constant_of",
    "dims",
    "entries",
    "folded",
    "holds_tensor",
    "integer",
    "ints",
    "is_tensor",
    "like",
    "number",
    "pair",
    "product",
    "shape_of",
    "sized",
    "stacked",
    "tensor",
    "value",
]
