"""What a graph of TensorFlow passes from node to node beside tensors: variables, lists of tensors, text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.graph import Parameter, Value
from dagir.ir.types import Array, DType, TensorType
from dagir_keras.reading.problems import Problem, Refused
from dagir_keras.reading.tensorflow.tensors import Tensor, entries, tensor, value


@dataclass(frozen=True, eq=False)
class Variable:
    """A resource variable, as the weight that it is here."""

    parameter: Parameter


@dataclass(frozen=True, eq=False)
class Text:
    """A constant of text, which messages and tables are made of."""

    array: Array


@dataclass(frozen=True, eq=False)
class Table:
    """A lookup table that never changes: keys and values, one of each for an entry."""

    keys: Array
    values: Array


@runtime_checkable
class CapturedTable(Protocol):
    """A lookup table in memory."""

    def entries(self, key: Any, content: Any) -> Table:
        """Its entries, as they are now, of these dtypes. Raises Refused."""

    def size(self) -> int:
        """How many there are. Raises Refused."""


@dataclass(frozen=True, eq=False)
class Complex:
    """A tensor of complex numbers, as two of real ones."""

    real: Value
    imag: Value


@dataclass(frozen=True, eq=False)
class Missing:
    """An output of a node that cannot be read; what reads it cannot either. problem: why, where the trouble began."""

    problem: Problem


@dataclass(frozen=True, eq=False)
class TensorList:
    """A TensorList: `count` tensors of one type, as one array, or still without any.

    written: (index, item) pairs in their order, where the array is not made until the type of the items is known.
    grows: whether a write behind its end makes it longer. length: of a list that a loop makes longer, how many items it
    has so far; `array` has room for all that it gets, or is None while these are counted.
    """

    count: Dim
    dtype: DType
    element: tuple[Dim | None, ...] | None = None
    array: Value | None = None
    written: tuple[tuple[Tensor, Value], ...] = ()
    grows: bool = False
    length: Value | None = None

    def item_type(self) -> TensorType | None:
        """The type of one item; None where nothing tells it."""
        if self.array is not None:
            return self.array.type.with_shape(self.array.type.shape[1:])
        if self.written:
            return self.written[0][1].type
        known = [size for size in self.element or () if size is not None]
        if self.element is None or len(known) < len(self.element):
            return None
        return TensorType(self.dtype, tuple(known))

    def filled(self, kind: TensorType | None = None) -> TensorList:
        """The list as one array, in which what was not written is zero. Raises Refused where its items have no type."""
        if self.length is not None and self.array is None:
            raise Refused(
                "it reads a list that a loop makes longer, and how long that gets hangs on it",
                "give tf.TensorArray the size that it has in the end",
            )
        kind = self.item_type() or kind
        if kind is None:
            raise Refused("it reads a list of tensors whose shape nothing tells")
        array = self.array
        if array is None:
            array = ops.zeros((self.count, *kind.shape), dtype=kind.dtype)
        for index, item in self.written:
            array = _with_row(array, value(index), item)
        return replace(self, array=array, written=())

    def with_item(self, index: Tensor, item: Value) -> TensorList:
        """The list with one item replaced."""
        if self.length is not None:
            return self._written_behind(self.length, ops.cast(value(index), DType.INT64), item)
        known = entries(index)
        place = known.item() if known is not None and known.ndim == 0 else None
        if self.grows and isinstance(place, int) and isinstance(self.count, int) and place >= self.count:
            return self._longer(place + 1 - self.count, item.type).with_item(index, item)
        if self.array is not None:
            return replace(self, array=_with_row(self.array, value(index), item))
        return replace(self, written=(*self.written, (index, item)))

    def opened(self, room: Dim | None) -> TensorList:
        """The list as a loop makes it longer, with room for so many items; without an array where it counts them."""
        count = ops.cast(value(tensor(self.count)), DType.INT64)
        if room is None:
            return replace(self, array=None, written=(), length=count)
        kind = self.item_type()
        assert kind is not None
        array = ops.zeros((room - self.count, *kind.shape), dtype=kind.dtype)
        if self.count != 0:
            array = ops.concatenate([*self.parts(), array], 0)
        return replace(self, count=room, array=array, written=(), length=count)

    def parts(self) -> list[Value]:
        """The values that a loop or a branch passes on for the list."""
        if self.length is None or self.array is not None:
            array = self.filled().array
            assert array is not None
            return [array] if self.length is None else [self.length, array]
        return [self.length]

    def with_parts(self, made: Sequence[Value]) -> TensorList:
        """The list with other values of these."""
        if self.length is None:
            return replace(self, array=made[0], written=())
        return replace(self, length=made[0], array=made[1] if len(made) > 1 else None, written=())

    def counted(self, index: Tensor | None) -> TensorList:
        """The list with an item that is not there, of which the place alone counts; None is the place behind all."""
        assert self.length is not None
        place = self.length if index is None else ops.cast(value(index), DType.INT64)
        return replace(self, length=ops.maximum(self.length, ops.add(place, 1)))

    def _written_behind(self, length: Value, index: Value, item: Value) -> TensorList:
        array = None if self.array is None else _with_row(self.array, index, item)
        longer = ops.maximum(length, ops.add(index, 1))
        return replace(self, array=array, length=longer, element=item.type.shape, dtype=item.dtype)

    def _longer(self, more: int, kind: TensorType) -> TensorList:
        """The list with more items at its end, of zeros."""
        count = self.count + more
        if self.array is None:
            return replace(self, count=count)
        zeros = ops.zeros((more, *kind.shape), dtype=kind.dtype)
        return replace(self, count=count, array=ops.concatenate([self.array, zeros], 0))


def _with_row(array: Value, index: Value, item: Value) -> Value:
    return ops.scatter_update(array, ops.reshape(ops.cast(index, "int32"), (1, 1)), ops.expand_dims(item, 0))


def parts_of(operand: Any) -> list[Value]:
    """The values that a loop or a branch passes on for what a graph has. Raises Refused."""
    if isinstance(operand, TensorList):
        return operand.parts()
    if isinstance(operand, Variable):
        raise Refused("a branch chooses between variables", "read them first, and choose between their values")
    return [value(operand)]


def rebuilt(operand: Any, parts: Sequence[Value]) -> Any:
    """What a graph has in the place of the operand, of other values."""
    return operand.with_parts(parts) if isinstance(operand, TensorList) else parts[0]


def is_counted(op: str, operands: Sequence[Any]) -> bool:
    """Whether an op writes an item that is not there into a list whose items are counted."""
    if op not in ("TensorListSetItem", "TensorListPushBack") or not isinstance(operands[-1], Missing):
        return False
    listed, *others = operands[:-1]
    return (
        isinstance(listed, TensorList)
        and listed.array is None
        and listed.length is not None
        and (missing_among(others) is None)
    )


def missing_among(operands: Sequence[Any]) -> Missing | None:
    """The first operand that could not be read."""
    return next((operand for operand in operands if isinstance(operand, Missing)), None)
