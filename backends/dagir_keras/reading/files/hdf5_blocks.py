"""The blocks of an HDF5 file, read as bytes: its superblock, and the headers of its objects with their messages.

Every length and address is checked against the file before it is used, and every block that is visited counts against
the budget of the file. So no file makes the reader read past the end, or loop forever.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from dagir.support import limits

NOWHERE = (1 << 64) - 1  # the address of what is not there
STRUCTURE = "its HDF5 structure"
_WORD = 0xFFFFFFFF
_HASHED = 16  # so many bytes cost as much to sum as one name to read


class Damaged(Exception):
    """Raised for bytes that HDF5 does not write; it becomes a FileError where the place in the file is known."""


class NotRead(Damaged):
    """Raised for a feature of HDF5 that Keras never uses."""


class Cursor:
    """Bytes that are read from the front. Raises Damaged at the end."""

    __slots__ = ("at", "data")

    def __init__(self, data: memoryview, at: int = 0) -> None:
        self.data, self.at = data, at

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self.data) - self.at

    def take(self, size: int) -> memoryview:
        """The next bytes."""
        end = self.at + size
        if size < 0 or end > len(self.data):
            raise Damaged(f"a record ends {end - len(self.data)} bytes early")
        part = self.data[self.at : end]
        self.at = end
        return part

    def number(self, size: int = 8) -> int:
        """The next bytes as an unsigned number."""
        return int.from_bytes(self.take(size), "little")

    def expect(self, wanted: bytes, what: str) -> None:
        """Skip a signature. Raises Damaged for another one."""
        if bytes(self.take(len(wanted))) != wanted:
            raise Damaged(f"{what} is not where the file says")

    def version(self, known: tuple[int, ...], what: str) -> int:
        """The next byte, a version. Raises Damaged for an unknown one."""
        found = self.number(1)
        if found not in known:
            raise Damaged(f"{what} is of version {found}, which is not known")
        return found


class Kind(IntEnum):
    """Kinds of messages in the header of an object, by their numbers in HDF5."""

    DATASPACE = 1
    LINK_INFO = 2
    DATATYPE = 3
    LINK = 6
    EXTERNAL = 7
    LAYOUT = 8
    FILTERS = 11
    ATTRIBUTE = 12
    CONTINUATION = 16
    SYMBOL_TABLE = 17
    ATTRIBUTE_INFO = 21


_LAST_KIND = 24
_SHARED = 2  # a flag of a message: its bytes are the address of the content


@dataclass(frozen=True, slots=True)
class Message:
    """One message of an object's header."""

    kind: int
    data: memoryview

    def cursor(self) -> Cursor:
        """The bytes, from the first."""
        return Cursor(self.data)


class Blocks:
    """An HDF5 file in memory, by address. Raises Damaged."""

    def __init__(self, view: memoryview) -> None:
        self.view = view
        self.root = self._superblock()

    def at(self, address: int, size: int | None = None) -> Cursor:
        """The bytes at an address: so many, or all that follow."""
        limits.spend("names", 1, STRUCTURE)
        if address >= len(self.view) or (size is not None and size > len(self.view) - address):
            raise Damaged(f"address {address} lies outside the file")
        return Cursor(self.view[address : len(self.view) if size is None else address + size])

    def check_sum(self, address: int, size: int) -> None:
        """Compare the checksum of a block of `size` bytes with the one after it. Raises Damaged."""
        data = self.at(address, size + 4)
        limits.spend("names", size // _HASHED, STRUCTURE)
        if checksum(bytes(data.take(size))) != data.number(4):
            raise Damaged(f"the checksum of the block at {address} does not agree")

    def _superblock(self) -> int:
        start = Cursor(self.view, 8)
        version = start.version((0, 1, 2, 3), "the superblock")
        if version < 2:
            start.take(4)
        sizes = (start.number(1), start.number(1))
        if sizes != (8, 8):
            raise NotRead(f"its addresses and lengths take {sizes[0]} and {sizes[1]} bytes, 8 are read")
        start.take((9, 13, 1, 1)[version])
        base, _, end = start.number(), start.number(), start.number()
        root = start.number()
        if version < 2:
            if root != NOWHERE:
                raise NotRead("it is spread over several files by a driver")
            start.take(8)
            root = start.number()
        else:
            self.check_sum(0, start.at)
        if base != 0:
            raise NotRead("it begins elsewhere in the file")
        if end > len(self.view):
            raise Damaged(f"it ends at byte {len(self.view)}, and was written up to {end}")
        return root

    def messages(self, address: int) -> list[Message]:
        """The messages in the header of an object, without empty ones."""
        start = self.at(address)
        newer = bytes(start.data[:4]) == b"OHDR"
        flags, todo = self._newer(start, address) if newer else (0, [self._older(start, address)])
        found: list[Message] = []
        seen = {todo[0][0]}
        while todo:
            begin, size = todo.pop(0)
            for message in self._chunk(self.at(begin, size), newer, flags):
                if message.kind == Kind.CONTINUATION:
                    cursor = message.cursor()
                    begin, size = self._continued(cursor.number(), cursor.number(), newer)
                    if begin in seen:
                        raise Damaged("the header of an object goes round in a circle")
                    seen.add(begin)
                    todo.append((begin, size))
                else:
                    found.append(message)
        return found

    def _older(self, start: Cursor, address: int) -> tuple[int, int]:
        start.version((1,), "the header of an object")
        start.take(7)
        return address + 16, start.number(4)

    def _newer(self, start: Cursor, address: int) -> tuple[int, list[tuple[int, int]]]:
        start.take(4)
        start.version((2,), "the header of an object")
        flags = start.number(1)
        start.take(16 * bool(flags & 0x20) + 4 * bool(flags & 0x10))
        size = start.number(1 << (flags & 3))
        self.check_sum(address, start.at + size)
        return flags, [(address + start.at, size)]

    def _continued(self, address: int, size: int, newer: bool) -> tuple[int, int]:
        if not newer:
            return address, size
        if size < 8:
            raise Damaged("a part of the header of an object is too short")
        self.at(address, size).expect(b"OCHK", "a part of the header of an object")
        self.check_sum(address, size - 4)
        return address + 4, size - 8

    def _chunk(self, cursor: Cursor, newer: bool, flags: int) -> Iterator[Message]:
        ordered = newer and flags & 4
        head = (6 if ordered else 4) if newer else 8
        while cursor.left >= head:
            limits.spend("names", 1, STRUCTURE)
            kind, size, bits = cursor.number(1 if newer else 2), cursor.number(2), cursor.number(1)
            cursor.take(2 if ordered else 0 if newer else 3)
            data = cursor.take(size)
            if kind > _LAST_KIND:
                raise Damaged(f"the header of an object has a message of kind {kind}, which is not known")
            if bits & _SHARED:
                raise NotRead(f"a message of kind {kind} is kept elsewhere and shared, which is not read")
            if kind:
                yield Message(kind, data)


def checksum(data: bytes) -> int:
    """The checksum of newer HDF5 blocks: Jenkins's lookup3."""
    a = b = c = (0xDEADBEEF + len(data)) & _WORD
    if not data:
        return c
    body = (len(data) - 1) // 12 * 12
    for x, y, z in struct.iter_unpack("<3I", data[:body]):
        a, b, c = (a + x) & _WORD, (b + y) & _WORD, (c + z) & _WORD
        a = ((a - c) & _WORD) ^ _turned(c, 4)
        c = (c + b) & _WORD
        b = ((b - a) & _WORD) ^ _turned(a, 6)
        a = (a + c) & _WORD
        c = ((c - b) & _WORD) ^ _turned(b, 8)
        b = (b + a) & _WORD
        a = ((a - c) & _WORD) ^ _turned(c, 16)
        c = (c + b) & _WORD
        b = ((b - a) & _WORD) ^ _turned(a, 19)
        a = (a + c) & _WORD
        c = ((c - b) & _WORD) ^ _turned(b, 4)
        b = (b + a) & _WORD
    x, y, z = struct.unpack("<3I", data[body:].ljust(12, b"\0"))
    a, b, c = (a + x) & _WORD, (b + y) & _WORD, (c + z) & _WORD
    c = ((c ^ b) - _turned(b, 14)) & _WORD
    a = ((a ^ c) - _turned(c, 11)) & _WORD
    b = ((b ^ a) - _turned(a, 25)) & _WORD
    c = ((c ^ b) - _turned(b, 16)) & _WORD
    a = ((a ^ c) - _turned(c, 4)) & _WORD
    b = ((b ^ a) - _turned(a, 14)) & _WORD
    return ((c ^ b) - _turned(b, 24)) & _WORD


def _turned(word: int, places: int) -> int:
    return ((word << places) | (word >> (32 - places))) & _WORD
