"""Tensors while a graph is read: values of the graph, and tensors of sizes.

The elements of a tensor of sizes are ints and SymbolicDims; of floats also Scaled and Fractions, see real_sizes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim, SymbolicDim, max_dim
from dagir.ir.graph import Constant, Value
from dagir.ir.types import Array, DType
from dagir.ops.size_tensors import FOLDED, Sizes, Tensor, constant_of, entries, shape_of
from dagir.ops.sizes import measured
from dagir_onnx.importing.real_sizes import Scaled
from dagir_onnx.importing.refusals import Refused


def constant(array: Array) -> Value:
    """A constant of these numbers."""
    return Constant(np.asarray(array)).value


def constant_like(number: float, like: Value) -> Value:
    """A number of the dtype of a value."""
    return constant(np.asarray(number, like.dtype.numpy))


def sized(array: object, dtype: DType) -> Tensor:
    """A tensor of these sizes: a constant, if all of them are known."""
    entries = np.asarray(array, object)
    if any(isinstance(part, (SymbolicDim, Scaled)) for part in entries.flat):
        return Sizes(entries, dtype)
    return constant(entries.astype(dtype.numpy))


def sizes_of(shape: Sequence[Dim], dtype: DType = DType.INT64) -> Tensor:
    """A vector of sizes."""
    array = np.empty(len(shape), object)
    array[:] = shape
    return sized(array, dtype)


def value(data: Tensor) -> Value:
    """A tensor as a value of the graph: sizes are computed when the graph runs."""
    if isinstance(data, Value):
        return data
    numbers = [_number(size, data.dtype) for size in data.array.flat]
    if data.ndim == 0:
        return numbers[0]
    flat = ops.stack(numbers)
    return flat if data.ndim == 1 else ops.reshape(flat, data.shape)


def _number(size: object, dtype: DType) -> Value:
    if isinstance(size, Scaled):
        return size.measured(dtype)
    if isinstance(size, Fraction):
        return constant(np.asarray(float(size), dtype.numpy))
    return ops.cast(measured(size), dtype)  # type: ignore[arg-type]  # an int or a SymbolicDim


def dims_of(data: Tensor, what: str) -> tuple[Dim, ...]:
    """The entries of a vector, or of one number, as sizes. Raises Refused where they depend on the data."""
    found = entries(data)
    if found is None and 0 in shape_of(data):
        return ()
    if found is None or data.dtype.is_float:
        raise Refused(f"its {what} is computed from the data, so that shapes would depend on it")
    return tuple(part if isinstance(part, SymbolicDim) else int(part) for part in found.flat)


def ints_of(data: Tensor, what: str) -> tuple[int, ...]:
    """The same, all of them known while the graph is read."""
    found = dims_of(data, what)
    for part in found:
        if isinstance(part, SymbolicDim):
            raise Refused(f"its {what} is {part}, which is known at run time only")
    return tuple(part for part in found if isinstance(part, int))


def product(sizes: Sequence[Dim]) -> Dim:
    """The number of elements."""
    return math.prod(sizes, start=1)


def is_never_negative(size: Dim) -> bool:
    """Whether the form of a size shows that it is 0 or more."""
    return max_dim(size, 0) == size


__all__ = [
    "FOLDED",
    "Sizes",
    "Tensor",
    "constant",
    "constant_like",
    "constant_of",
    "dims_of",
    "entries",
    "ints_of",
    "is_never_negative",
    "product",
    "shape_of",
    "sized",
    "sizes_of",
    "value",
]
