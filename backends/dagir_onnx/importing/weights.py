"""Stored tensors as weights and constants of the graph, each once, under the names that they have in the file."""

from __future__ import annotations

import numpy as np

from dagir.ir.graph import Constant, Parameter, Value
from dagir.ir.naming import Namer
from dagir.ir.types import Array, DType, type_of


class Weights:
    """Makes a weight or a constant of each stored tensor. A tensor that is read in many places is one weight."""

    def __init__(self) -> None:
        self._names: dict[Value, str] = {}
        self._parameters: dict[Value, Value] = {}
        self._unique = Namer()

    def value(self, array: Array, name: str, *, is_initializer: bool) -> Value:
        """The value of a stored tensor: a weight, if it holds several floats; else a constant.

        An initializer that is a vector is one even with one element: the bias of a layer with one unit.
        """
        if array.dtype.byteorder == ">" or (array.dtype.kind in "fiub" and not array.dtype.isnative):
            array = array.astype(array.dtype.newbyteorder("="))
        dtype = DType.of(array.dtype)
        several = array.size > 1 or (is_initializer and array.ndim > 0 and array.size > 0)
        if dtype.is_float and several:
            return self._weight(array, name)
        found = Constant(array).value
        self._names[found] = name
        return found

    def parameter(self, constant: Value) -> Value:
        """The weight in place of a constant of floats. The same constant gives the same weight."""
        assert isinstance(constant.source, Constant)
        if constant not in self._parameters:
            name = self._names.get(constant, "constant")
            self._parameters[constant] = self._weight(constant.source.array, name)
        return self._parameters[constant]

    def _weight(self, array: Array, name: str) -> Value:
        return Parameter(self._unique(name or "weight"), type_of(array), array=array).value


def as_array(data: object, dtype: DType) -> Array:
    """Numbers of an attribute as an array."""
    return np.asarray(data, dtype.numpy)


__all__ = ["Weights", "as_array"]
