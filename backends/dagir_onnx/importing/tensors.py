"""Tensors while a graph is read: values of the graph, and tensors of sizes.

Shape(x) is an integer tensor whose numbers are partly known at run time only. It stays a tensor of sizes while it is
computed with, so that the shape that is made of it is known by name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim, SymbolicDim, max_dim
from dagir.ir.graph import Constant, Value
from dagir.ir.types import Array, DType, Shape
from dagir.ops.sizes import measured
from dagir_onnx.importing.real_sizes import Scaled
from dagir_onnx.importing.refusals import Refused

FOLDED = 4096  # elements of constants that are computed while the graph is read


@dataclass(frozen=True, eq=False)
class Sizes:
    """A tensor of known shape, whose elements are sizes, some of them known at run time only."""

    array: Array  # of ints and SymbolicDims; of floats, also of Scaled and Fractions: see real_sizes
    dtype: DType

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the tensor."""
        return self.array.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.array.ndim


Tensor: TypeAlias = Value | Sizes


def constant(array: Array) -> Value:
    """A constant of these numbers."""
    return Constant(np.asarray(array)).value


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


def constant_of(data: object) -> Array | None:
    """The array of a constant; None for other tensors."""
    if isinstance(data, Value) and isinstance(data.source, Constant):
        return data.source.array
    return None


def entries(data: Tensor) -> Array | None:
    """The numbers of a small integer tensor as ints and sizes, where they are known while the graph is read."""
    if isinstance(data, Sizes):
        return data.array
    array = constant_of(data)
    if array is None or not data.dtype.is_integer or array.size > FOLDED:
        return None
    found = np.empty(array.shape, object)
    found[...] = np.asarray(array.tolist(), object).reshape(array.shape)
    return found


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


def shape_of(data: Tensor) -> Shape:
    """The sizes of the axes."""
    return data.shape if isinstance(data, Sizes) else data.type.shape


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
