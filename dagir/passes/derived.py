"""Weights that a pass makes from others."""

from __future__ import annotations

from collections.abc import Iterable

from dagir.ir.arrays import frozen
from dagir.ir.graph import Constant, Initializer, Parameter, Value
from dagir.ir.types import Array, DType, Shape, TensorType

_DEEPEST = 32


class Derived(Parameter):
    """A weight computed from other weights each time it is read, and not stored: a pass does not double the memory.

    The source weights may belong to other graphs, and are not changed. sources: these weights. In a long chain of
    derived weights, some are computed at once and stored, so that reading the last one does not recurse deeply.
    """

    __slots__ = ("_depth", "_kept", "_make")

    _depth: int

    def __init__(
        self,
        name: str,
        type: TensorType,
        make: Initializer,
        sources: Iterable[Value | None],
        *,
        trainable: bool = True,
    ) -> None:
        super().__init__(name, type, trainable=trainable)
        self._make = make
        above = [value.source._depth for value in sources if value is not None and isinstance(value.source, Derived)]
        self._depth = 1 + max(above, default=0)
        self._kept: Array | None = None
        if self._depth > _DEEPEST:
            self._kept, self._depth = make(self.shape, self.dtype), 0

    @property
    def array(self) -> Array:
        """The array, computed now unless it is stored."""
        return self._make(self.shape, self.dtype) if self._kept is None else self._kept


def leaf_array(value: Value) -> Array:
    """The array of a weight or constant."""
    assert isinstance(value.source, (Parameter, Constant))
    array: Array = value.source.array
    return array


def reshaped(value: Value, shape: Shape) -> Value:
    """A weight or constant in another shape, as a view of the same array."""
    source = value.source
    assert isinstance(source, (Parameter, Constant))
    sizes = tuple(size for size in shape if isinstance(size, int))
    if isinstance(source, Constant):
        return Constant(frozen(source.array.reshape(sizes))).value

    def view(_: Shape, __: DType) -> Array:
        array: Array = source.array.reshape(sizes)
        return array

    kind = value.type.with_shape(shape)
    if isinstance(source, Derived):
        return Derived(source.name, kind, view, (value,), trainable=source.trainable).value
    return Parameter(source.name, kind, view, trainable=source.trainable).value
