"""Stored tensors as weights and constants of the graph, each once, under the names that they have in the file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence

import numpy as np

from dagir import ops
from dagir.ir.graph import Constant, Parameter, Value
from dagir.ir.naming import Namer
from dagir.ir.types import Array, DType, type_of


class Weights:
    """Makes a weight or a constant of each stored tensor. A tensor that is read in many places is one weight.

    frozen: the names of weights that are not trained.
    """

    def __init__(self, frozen: Collection[str] = ()) -> None:
        self.frozen = frozen
        self._names: dict[Value, str] = {}
        self._parameters: dict[Value, Value] = {}
        self._rearranged: dict[Value, tuple[tuple[int, ...], Value]] = {}
        self._parts: dict[tuple[Value, Hashable], Value] = {}
        self._read: set[Value] = set()
        self._apart: set[Value] = set()
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

    def as_stored(self, value: Value) -> Value:
        """A weight as the file has it, even where another node made it one in another order of axes."""
        if value in self._rearranged:
            axes, made = self._rearranged[value]
            return ops.transpose(made, np.argsort(axes).tolist())
        self._read.add(value)
        return value

    def rearranged(self, value: Value, axes: Sequence[int]) -> Value:
        """A stored array with its axes in the order of dagir's op: the same weight, whose numbers are not copied.

        It stays one weight: what reads it in another order gets it transposed.
        """
        order, source = tuple(axes), value.source
        if order == tuple(range(value.ndim)):
            return self.as_stored(value)
        known = self._rearranged.get(value)
        if known is not None and known[0] == order:
            return known[1]
        if known is not None or value in self._read or not isinstance(source, Parameter):
            return ops.transpose(self.as_stored(value), order)
        array = source.array.transpose(order)
        made = Parameter(source.name, type_of(array), array=array, trainable=source.trainable).value
        self._rearranged[value] = (order, made)
        return made

    def part(self, value: Value, name: str, cut: Callable[[Array], Array]) -> Value | None:
        """A weight that is made of a stored array, such as that of one direction; None for computed values.

        The same name of the same array gives the same weight. name: of the part, which tells it from others.
        """
        source = value.source
        if not isinstance(source, Parameter) or value in self._rearranged:
            return None
        if (value, name) not in self._parts:
            array = cut(source.array)
            made = self._weight(array, f"{source.name}/{name}")
            made.source.trainable = source.trainable  # type: ignore[union-attr]  # it is a Parameter
            self._parts[value, name] = made
        return self._parts[value, name]

    def apart(self, value: Value) -> Value:
        """A weight for one node alone: the first has the stored one, each further one another over the same numbers."""
        source = value.source
        if value not in self._apart or not isinstance(source, Parameter):
            self._apart.add(value)
            return value
        made = self._weight(source.array, source.name)
        made.source.trainable = source.trainable  # type: ignore[union-attr]  # it is a Parameter
        return made

    def _weight(self, array: Array, name: str) -> Value:
        unique = self._unique(name or "weight")
        return Parameter(unique, type_of(array), array=array, trainable=name not in self.frozen).value


__all__ = ["Weights"]
