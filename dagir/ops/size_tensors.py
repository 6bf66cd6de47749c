"""Tensors of sizes, while a graph of another framework is read: Shape(x), and what is computed of it.

Their numbers are partly known at run time only. They stay tensors of sizes while they are computed with, so that the
shapes that are made of them are known by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from dagir.ir.graph import Constant, Value
from dagir.ir.types import Array, DType, Shape

FOLDED = 4096  # elements of constants that are computed while a graph is read


@dataclass(frozen=True, eq=False)
class Sizes:
    """A tensor of known shape, whose elements are sizes, some of them known at run time only.

    array: of ints and SymbolicDims. name: of the layer that made it.
    """

    array: Array
    dtype: DType
    name: str | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the tensor."""
        shape: tuple[int, ...] = self.array.shape
        return shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.array.ndim


Tensor: TypeAlias = Value | Sizes


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


def shape_of(data: Tensor) -> Shape:
    """The sizes of the axes."""
    return data.shape if isinstance(data, Sizes) else data.type.shape


__all__ = ["FOLDED", "Sizes", "Tensor", "constant_of", "entries", "shape_of"]
