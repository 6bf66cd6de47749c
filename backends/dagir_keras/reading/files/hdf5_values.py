"""What the bytes of an HDF5 file mean: shapes, dtypes, and the attributes of an object with their texts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import ml_dtypes
import numpy as np

from dagir.support import limits
from dagir_keras.reading.files.hdf5_blocks import NOWHERE, Blocks, Cursor, Damaged, Kind, Message, NotRead
from dagir_keras.reading.files.hdf5_heaps import FractalHeap, GlobalHeap, newer_tree

_INTEGER, _FLOAT, _STRING, _OPAQUE, _ENUM, _VARYING = 0, 1, 3, 5, 8, 9
_CLASSES = {2: "times", 4: "bit fields", 6: "records", 7: "references", 9: "rows of any length", 10: "arrays"}
_FLOATS: dict[tuple[int, ...], str] = {  # by size: where exponent and mantissa begin, their bits, and the bias
    (2, 10, 5, 0, 10, 15): "float16",
    (2, 7, 8, 0, 7, 127): "bfloat16",
    (4, 23, 8, 0, 23, 127): "float32",
    (8, 52, 11, 0, 52, 1023): "float64",
}
_MOST_AXES = 32


@dataclass(frozen=True, slots=True)
class Datatype:
    """How one element is stored. dtype: None if it is no number. what: a description."""

    dtype: np.dtype[Any] | None
    size: int
    what: str
    text: str = ""  # "fixed" or "varying" for text
    truth: bool = False  # stored as a byte, means a bool
    opaque: bool = False  # bytes without a meaning in HDF5


def shape_of(cursor: Cursor) -> tuple[int, ...] | None:
    """A shape; None for a null dataspace, which has no elements."""
    version, rank, _ = cursor.version((1, 2), "a shape"), cursor.number(1), cursor.number(1)
    kind = 1
    if version == 1:
        cursor.take(5)
    else:
        kind = cursor.number(1)
    if rank > _MOST_AXES or kind > 2:
        raise Damaged(f"a shape has {rank} axes")
    return None if kind == 2 else tuple(cursor.number() for _ in range(rank))


def datatype(cursor: Cursor) -> Datatype:
    """The type of an element."""
    head, bits, size = cursor.number(1), cursor.number(3), cursor.number(4)
    kind, version = head & 15, head >> 4
    if not 1 <= version <= 4 or kind > 10:
        raise Damaged(f"a type is of version {version} and class {kind}, which is not known")
    if size == 0:
        raise Damaged("a type has elements of no bytes")
    order: Literal["<", ">"] = ">" if bits & 1 else "<"
    if kind == _INTEGER:
        whole = cursor.number(2) == 0 and cursor.number(2) == 8 * size and size in (1, 2, 4, 8)
        dtype = np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}") if whole else None
        return Datatype(dtype, size, f"integers of {size} bytes")
    if kind == _FLOAT:
        return Datatype(_float(cursor, bits, size, order), size, f"floats of {size} bytes")
    if kind == _STRING:
        return Datatype(None, size, "text", "fixed")
    if kind == _VARYING:
        text = bits & 15 == 1
        if size != 16:
            raise Damaged("rows of any length take another size than they should")
        return Datatype(None, size, "text" if text else _CLASSES[kind], "varying" if text else "")
    if kind == _ENUM:
        return _enum(cursor, bits & 0xFFFF, size, version)
    return Datatype(None, size, _CLASSES.get(kind, "bytes"), opaque=kind == _OPAQUE)


def _float(cursor: Cursor, bits: int, size: int, order: Literal["<", ">"]) -> np.dtype[Any] | None:
    offset, precision = cursor.number(2), cursor.number(2)
    form = tuple(cursor.number(1) for _ in range(4))
    name = _FLOATS.get((size, *form, cursor.number(4)))
    plain = offset == 0 and precision == 8 * size and (bits >> 8) & 0xFF == 8 * size - 1 and not bits & 0x40
    if name is None or not plain or (bits >> 4) & 3 != 2:
        return None
    if name == "bfloat16":
        return np.dtype(ml_dtypes.bfloat16) if order == "<" else None
    return np.dtype(name).newbyteorder(order)


def _enum(cursor: Cursor, count: int, size: int, version: int) -> Datatype:
    """Numbers with names, read as the numbers; FALSE and TRUE are a bool, as h5py writes it."""
    base = datatype(cursor)
    if base.dtype is None or base.size != size:
        raise Damaged("a type of named numbers is made of what is no number")
    names = [_padded_name(cursor, version) for _ in range(count)] if count <= 2 else []
    truth = names == [b"FALSE", b"TRUE"] and size == 1 and bytes(cursor.take(2)) == b"\0\1"
    return Datatype(np.dtype(bool) if truth else base.dtype, size, "named numbers", truth=truth)


def _padded_name(cursor: Cursor, version: int) -> bytes:
    rest = bytes(cursor.data[cursor.at :])
    end = rest.find(b"\0")
    if end < 0:
        raise Damaged("a name does not end")
    cursor.take(end + 1 + (-(end + 1) % 8 if version < 3 else 0))
    return rest[:end]


def _text(data: memoryview) -> str:
    """A text without the zeros at its end. A zero inside, or bytes that are not UTF-8, are damage."""
    found = bytes(data).rstrip(b"\0")
    if b"\0" in found:
        raise Damaged("a text has zeros in it")
    return found.decode("utf-8")


class Attribute:
    """One attribute of an object, decoded on demand."""

    def __init__(self, data: memoryview) -> None:
        cursor = Cursor(data)
        version = cursor.version((1, 2, 3), "an attribute")
        if cursor.number(1) and version > 1:
            raise NotRead("an attribute has its type elsewhere, which is not read")
        sizes = [cursor.number(2) for _ in range(3)]
        if version == 3:
            cursor.take(1)
        parts = []
        for size in sizes:
            parts.append(cursor.take(size))
            cursor.take(min(-size % 8, cursor.left) if version == 1 else 0)
        self.name = bytes(parts[0]).split(b"\0")[0].decode("utf-8", "surrogateescape")
        self.type = datatype(Cursor(parts[1]))
        self.shape = shape_of(Cursor(parts[2]))
        self._data = cursor

    @property
    def count(self) -> int:
        """How many elements there are."""
        return 0 if self.shape is None else math.prod(self.shape)

    def texts(self, heap: GlobalHeap) -> list[str]:
        """The elements, which must be texts."""
        if not self.count:
            return []
        if not self.type.text:
            raise Damaged(f"holds {self.type.what}, where a text is expected")
        limits.spend("names", self.count, f"attribute {self.name!a}")
        data = Cursor(Cursor(self._data.data, self._data.at).take(self.count * self.type.size))  # may be read again
        if self.type.text == "varying":
            return list(self._varying(data, heap))
        return [_text(data.take(self.type.size)) for _ in range(self.count)]

    def _varying(self, data: Cursor, heap: GlobalHeap) -> Iterator[str]:
        for _ in range(self.count):
            length, address, number = data.number(4), data.number(), data.number(4)
            if address in (0, NOWHERE):
                yield ""
                continue
            found = heap.object(address, number)
            if length > len(found):
                raise Damaged("a text is longer than what is kept of it")
            limits.spend("json bytes", length, f"attribute {self.name!a}")
            yield _text(found[:length])


def attributes(blocks: Blocks, messages: Sequence[Message]) -> dict[str, Attribute]:
    """All attributes of an object by name."""
    found: dict[str, Attribute] = {}
    for data in _attribute_data(blocks, messages):
        limits.spend("names", 1, "its HDF5 attributes")
        attribute = Attribute(data)
        if attribute.name in found:
            raise Damaged(f"attribute {attribute.name!a} is there twice")
        found[attribute.name] = attribute
    return found


def _attribute_data(blocks: Blocks, messages: Sequence[Message]) -> Iterator[memoryview]:
    for message in messages:
        if message.kind == Kind.ATTRIBUTE:
            yield message.data
        elif message.kind == Kind.ATTRIBUTE_INFO:
            cursor = message.cursor()
            cursor.version((0,), "the list of attributes")
            cursor.take(2 * (cursor.number(1) & 1))
            heap_address, tree = cursor.number(), cursor.number()
            if heap_address != NOWHERE:
                heap = FractalHeap(blocks, heap_address)
                yield from (heap.object(record[:8]) for record in newer_tree(blocks, tree, (8,), 17))
