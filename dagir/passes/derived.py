"""Weights that a pass makes from others."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from dagir.ir.arrays import frozen
from dagir.ir.graph import Constant, Initializer, Parameter, Value
from dagir.ir.types import Array, DType, Shape, TensorType

_DEEPEST = 32
_FEW_BYTES = 1 << 12


class Derived(Parameter):
    """A weight computed from other weights each time it is read, and not stored: a pass does not double the memory.

    The source weights may belong to other graphs, and are not changed. sources: these weights. In a long chain of
    derived weights, some are computed at once and stored, so that reading the last one does not recurse deeply.
    """

    __slots__ = ("_depth", "_kept", "_make", "roots")

    _depth: int
    roots: frozenset[Hashable]
    """The weights that it is computed from in the end, and constants by their numbers."""

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
        sources = list(sources)
        self._make = make
        self.roots = frozenset(root for value in sources if value is not None for root in _roots(value))
        above = [value.source._depth for value in sources if value is not None and isinstance(value.source, Derived)]
        self._depth = 1 + max(above, default=0)
        self._kept: Array | None = None
        if self._depth > _DEEPEST:
            self._kept, self._depth = make(self.shape, self.dtype), 0

    @property
    def array(self) -> Array:
        """The array, computed now unless it is stored."""
        return self._make(self.shape, self.dtype) if self._kept is None else self._kept


def _roots(value: Value) -> Iterable[Hashable]:
    source = value.source
    if isinstance(source, Derived):
        return source.roots
    if isinstance(source, Constant):
        array = source.array
        return [(array.dtype.str, array.shape, array.tobytes()) if array.nbytes <= _FEW_BYTES else source]
    return [source]


class Rearranged(Derived):
    """A weight with its elements in another order: what is assigned to it goes to its source.

    Equal to every other one that is the same of the same weight: a target that is given several has one variable.
    """

    __slots__ = ("_key",)

    def __init__(self, value: Value, full: tuple[int, ...], axes: tuple[int, ...]) -> None:
        source = value.source
        assert isinstance(source, Parameter)
        kind = value.type.with_shape(tuple(full[axis] for axis in axes))

        def make(_: Shape, __: DType) -> Array:
            return source.array.reshape(full).transpose(axes)

        super().__init__(source.name, kind, make, (value,), trainable=source.trainable)
        self._key = (source, full, axes)

    def assign(self, array: npt.ArrayLike) -> None:
        """Replace the numbers of the source. Raises what its `assign` raises."""
        source, _, axes = self._key
        source.assign(self.fitting(array).transpose(np.argsort(axes)).reshape(source.shape))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rearranged) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


def rearranged(value: Value, full: Shape, axes: Sequence[int]) -> Value:
    """A weight or constant, reshaped to `full` and transposed by `axes`; a weight is so each time that it is read."""
    source = value.source
    assert isinstance(source, (Parameter, Constant))
    sizes = tuple(size for size in full if isinstance(size, int))
    if isinstance(source, Constant):
        return Constant(frozen(source.array.reshape(sizes).transpose(axes))).value
    return Rearranged(value, sizes, tuple(axes)).value


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
