"""The trees and heaps of an HDF5 file, which contain the links of groups, long lists of attributes, and texts.

They are walked without recursion. A block is visited once: a tree with a loop is damaged.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter

from dagir.support import limits
from dagir_keras.reading.files.hdf5_blocks import NOWHERE, STRUCTURE, Blocks, Cursor, Damaged, NotRead, checksum

_NODE = 10  # bytes of a node of a newer tree besides the records


def older_tree(blocks: Blocks, address: int, kind: int, key: int) -> Iterator[tuple[memoryview, int]]:
    """The keys and addresses at the leaves of a tree of the older kind; key: the bytes of one."""
    todo: list[tuple[int, int | None]] = [(address, None)]
    seen = {address}
    while todo:
        place, expected = todo.pop()
        node = blocks.at(place)
        node.expect(b"TREE", "a node of a tree")
        if node.number(1) != kind:
            raise Damaged("a tree is of another kind than its use")
        level, count = node.number(1), node.number(2)
        if expected is not None and level != expected:
            raise Damaged("a tree has branches of other heights than it says")
        limits.spend("names", count, STRUCTURE)
        node.take(16)
        children = [(node.take(key), node.number()) for _ in range(count)]
        if level == 0:
            yield from children
            continue
        for _, child in reversed(children):
            if child in seen:
                raise Damaged("a tree leads back to itself")
            seen.add(child)
            todo.append((child, level - 1))


def newer_tree(blocks: Blocks, address: int, kinds: tuple[int, ...], size: int) -> Iterator[memoryview]:
    """The records of a tree of the newer kind; size: the bytes of one."""
    head = blocks.at(address)
    head.expect(b"BTHD", "the head of a tree")
    head.version((0,), "a tree")
    kind, node_size, record, depth = head.number(1), head.number(4), head.number(2), head.number(2)
    if kind not in kinds or record != size or node_size < _NODE + size or depth > 16:
        raise Damaged("a tree is of another kind than its use")
    head.take(2)
    root, count = head.number(), head.number(2)
    blocks.check_sum(address, 34)
    pointers = _pointers(node_size, record, depth)
    todo = [(root, count, depth)] if root != NOWHERE and count else []
    seen = {root}
    while todo:
        place, count, depth = todo.pop()
        limits.spend("names", count, STRUCTURE)
        node = blocks.at(place, min(node_size, len(blocks.view)))
        node.expect(b"BTIN" if depth else b"BTLF", "a node of a tree")
        node.version((0,), "a node of a tree")
        if node.number(1) != kind:
            raise Damaged("a tree has a node of another kind")
        yield from [node.take(record) for _ in range(count)]
        for _ in range(count + 1 if depth else 0):
            child, inside = node.number(), node.number(pointers[0])
            node.take(pointers[depth])
            if child in seen:
                raise Damaged("a tree leads back to itself")
            seen.add(child)
            todo.append((child, inside, depth - 1))
        blocks.check_sum(place, node.at)


def _pointers(node_size: int, record: int, depth: int) -> list[int]:
    """The width of a record count in bytes; then, for each depth, that of a count of all records below."""
    most = below = (node_size - _NODE) // record
    found, size = [_bytes_of(most)], 0
    for _ in range(depth):
        found.append(size)
        pointer = 8 + found[0] + size
        most = (node_size - _NODE - pointer) // (record + pointer)
        if most < 1:
            raise Damaged("a tree has nodes too small for its records")
        below = (most + 1) * below + most
        size = _bytes_of(below)
    return found


def _bytes_of(most: int) -> int:
    return max(most.bit_length() - 1, 0) // 8 + 1


class LocalHeap:
    """The names of the members of a group of the older kind."""

    def __init__(self, blocks: Blocks, address: int) -> None:
        head = blocks.at(address, 32)
        head.expect(b"HEAP", "a heap of names")
        head.version((0,), "a heap of names")
        head.take(3)
        size, _, data = head.number(), head.number(), head.number()
        self._data = blocks.at(data, size).data

    def name(self, offset: int) -> bytes:
        """The text that begins there."""
        if offset >= len(self._data):
            raise Damaged("a name lies outside its heap")
        part, found = 64, b""
        while len(found) < len(self._data) - offset:  # names are short: do not copy the heap for each
            found = bytes(self._data[offset : offset + part])
            end = found.find(b"\0")
            if end >= 0:
                return found[:end]
            part *= 8
            limits.spend("names", part >> 6, STRUCTURE)
        raise Damaged("a name does not end within its heap")


@dataclass(frozen=True)
class _Table:
    """How a fractal heap doubles its blocks row by row."""

    width: int
    start: int
    largest: int
    bits: int
    checked: bool

    @property
    def offset_bytes(self) -> int:
        return (self.bits + 7) // 8

    @property
    def direct_rows(self) -> int:
        return (self.largest // self.start).bit_length() + 1

    def size(self, row: int) -> int:
        return self.start << max(row - 1, 0)

    def rows_of(self, size: int) -> int:
        """The rows of an indirect block that spans so many bytes."""
        return (size // (self.start * self.width)).bit_length()


class FractalHeap:
    """A fractal heap: links and attributes of an object that has many."""

    def __init__(self, blocks: Blocks, address: int) -> None:
        self._blocks, self._address = blocks, address
        head = blocks.at(address)
        head.expect(b"FRHP", "a heap")
        head.version((0,), "a heap")
        self.id_size, filters, flags, longest = head.number(2), head.number(2), head.number(1), head.number(4)
        if filters:
            raise NotRead("a heap is packed by filters, which is not read")
        head.take(8)
        self._huge_tree = head.number()
        head.take(80)
        width, start, largest, bits = head.number(2), head.number(), head.number(), head.number(2)
        head.take(2)
        self._root, self._rows = head.number(), head.number(2)
        blocks.check_sum(address, 142)
        powers = all(size and not size & (size - 1) for size in (width, start, largest))
        if not powers or start > largest or bits > 64 or largest.bit_length() > bits + 1:
            raise Damaged("a heap has blocks of impossible sizes")
        self._table = _Table(width, start, largest, bits, bool(flags & 2))
        self._length_bytes = min((largest.bit_length() + 6) // 8, _bytes_of(longest))
        self._parts = self._direct() if self._root != NOWHERE else []
        self._huge: dict[int, tuple[int, int]] | None = None

    def _direct(self) -> list[tuple[int, int, int]]:
        """The blocks of objects, in order: offset in the heap, size, address."""
        table = self._table
        if not self._rows:
            return [self._checked(0, table.start, self._root)]
        found: list[tuple[int, int, int]] = []
        todo = [(0, self._rows, self._root)]
        seen = {self._root}
        while todo:
            offset, rows, address = todo.pop()
            count = rows * table.width
            limits.spend("names", count, STRUCTURE)
            node = self._block(address, b"FHIB", offset)
            for place in range(count):
                row, child = place // table.width, node.number()
                size = table.size(row)
                if child != NOWHERE:
                    if child in seen:
                        raise Damaged("a heap leads back to itself")
                    seen.add(child)
                    if row < table.direct_rows:
                        found.append(self._checked(offset, size, child))
                    else:
                        todo.append((offset, table.rows_of(size), child))
                offset += size
            self._blocks.check_sum(address, node.at)
        return sorted(found)

    def _block(self, address: int, signature: bytes, offset: int) -> Cursor:
        node = self._blocks.at(address)
        node.expect(signature, "a block of a heap")
        node.version((0,), "a block of a heap")
        if node.number() != self._address or node.number(self._table.offset_bytes) != offset:
            raise Damaged("a block of a heap belongs elsewhere")
        return node

    def _checked(self, offset: int, size: int, address: int) -> tuple[int, int, int]:
        node = self._block(address, b"FHDB", offset)
        if self._table.checked:
            whole = bytearray(self._blocks.at(address, size).data)
            limits.spend("names", size // 16, STRUCTURE)
            whole[node.at : node.at + 4] = bytes(4)
            if checksum(bytes(whole)) != node.number(4):
                raise Damaged(f"the checksum of the block at {address} does not agree")
        return offset, size, address

    def object(self, identity: memoryview) -> memoryview:
        """The bytes of an object."""
        cursor = Cursor(identity)
        kind = cursor.number(1)
        if kind == 0:
            offset, length = cursor.number(self._table.offset_bytes), cursor.number(self._length_bytes)
            place = bisect_right(self._parts, offset, key=itemgetter(0)) - 1
            begin, size, address = self._parts[place] if place >= 0 else (0, 0, 0)
            if offset + length > begin + size:
                raise Damaged("an object lies outside its heap")
            return self._blocks.at(address + offset - begin, length).data
        if kind != 0x10:
            raise NotRead("an object is kept in a way that is not read")
        if self._huge is None:
            records = map(Cursor, newer_tree(self._blocks, self._huge_tree, (1,), 24))
            places = [(record.number(), record.number(), record.number()) for record in records]
            self._huge = {number: (address, length) for address, length, number in places}
        number = cursor.number(min(8, cursor.left))
        if number not in self._huge:
            raise Damaged("an object is not in its heap")
        return self._blocks.at(*self._huge[number]).data


class GlobalHeap:
    """Texts of any length, in collections."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._collections: dict[int, dict[int, memoryview]] = {}

    def object(self, address: int, number: int) -> memoryview:
        """The bytes of an object."""
        if address not in self._collections:
            self._collections[address] = self._read(address)
        found = self._collections[address].get(number)
        if found is None:
            raise Damaged("a text is not where the file says")
        return found

    def _read(self, address: int) -> dict[int, memoryview]:
        head = self._blocks.at(address)
        head.expect(b"GCOL", "a collection of texts")
        head.version((1,), "a collection of texts")
        head.take(3)
        whole = self._blocks.at(address, head.number())
        whole.take(16)
        found: dict[int, memoryview] = {}
        while whole.left >= 16:
            limits.spend("names", 1, STRUCTURE)
            number = whole.number(2)
            whole.take(6)
            size = whole.number()
            if number == 0:  # what is free, up to the end
                if size != whole.left + 16:
                    raise Damaged("a collection of texts has a hole")
                break
            if number in found:
                raise Damaged("a collection of texts has two of one number")
            found[number] = whole.take(size)
            whole.take(min(-size % 8, whole.left))
        return found
