"""The members of an HDF5 group: its links, in older and newer files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dagir.serialization.reading import shown
from dagir.support import limits
from dagir_keras.reading.files.hdf5_blocks import NOWHERE, Blocks, Cursor, Damaged, Kind, Message
from dagir_keras.reading.files.hdf5_heaps import FractalHeap, LocalHeap, newer_tree, older_tree

_HARD, _SOFT, _EXTERNAL = 0, 1, 64


@dataclass(frozen=True, slots=True)
class Link:
    """A member: its address, or a description if it is no hard link."""

    name: str
    address: int
    refused: str = ""


def is_group(messages: Sequence[Message]) -> bool:
    """Whether an object is a group."""
    return any(message.kind in (Kind.SYMBOL_TABLE, Kind.LINK_INFO, Kind.LINK) for message in messages)


def links_of(blocks: Blocks, messages: Sequence[Message]) -> dict[str, Link]:
    """The members by name, in the order of their names."""
    found: dict[str, Link] = {}
    for link in _links(blocks, messages):
        limits.spend("names", 1, "its HDF5 groups")
        if link.name in found:
            raise Damaged(f"has two members of the name {shown(link.name)}")
        if not link.name or "/" in link.name:
            raise Damaged(f"has a member of the impossible name {shown(link.name)}")
        found[link.name] = link
    return {name: found[name] for name in sorted(found, key=_encoded)}


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _text(name: memoryview | bytes) -> str:
    return bytes(name).decode("utf-8", "surrogateescape")


def _links(blocks: Blocks, messages: Sequence[Message]) -> Iterator[Link]:
    for message in messages:
        cursor = message.cursor()
        if message.kind == Kind.SYMBOL_TABLE:
            yield from _older(blocks, cursor.number(), cursor.number())
        elif message.kind == Kind.LINK:
            yield _link(cursor)
        elif message.kind == Kind.LINK_INFO:
            cursor.version((0,), "the list of members")
            cursor.take(8 * (cursor.number(1) & 1))
            heap_address, tree = cursor.number(), cursor.number()
            if heap_address != NOWHERE:
                heap = FractalHeap(blocks, heap_address)
                for record in newer_tree(blocks, tree, (5,), 4 + heap.id_size):
                    yield _link(Cursor(heap.object(record[4:])))


def _link(cursor: Cursor) -> Link:
    cursor.version((1,), "a link")
    flags = cursor.number(1)
    kind = cursor.number(1) if flags & 8 else _HARD
    cursor.take(8 * bool(flags & 4) + bool(flags & 16))
    name = _text(cursor.take(cursor.number(1 << (flags & 3))))
    if kind == _HARD:
        return Link(name, cursor.number())
    target = bytes(cursor.take(cursor.number(2)))
    if kind == _SOFT:
        return Link(name, NOWHERE, _soft(target))
    if kind == _EXTERNAL:
        file = target[1:].split(b"\0")[0]
        return Link(name, NOWHERE, f"a link to another file, {_text(file)[:200]!r}")
    return Link(name, NOWHERE, "a link of a kind of its own")


def _soft(target: bytes) -> str:
    return f"a soft link to {_text(target)[:200]!r}"


def _older(blocks: Blocks, tree: int, heap_address: int) -> Iterator[Link]:
    heap = LocalHeap(blocks, heap_address)
    seen: set[int] = set()
    for _, address in older_tree(blocks, tree, 0, 8):
        if address in seen:
            raise Damaged("a tree leads twice to one node")
        seen.add(address)
        node = blocks.at(address)
        node.expect(b"SNOD", "a node of members")
        node.version((1,), "a node of members")
        node.take(1)
        for _ in range(node.number(2)):
            name, target, cached = heap.name(node.number()), node.number(), node.number(4)
            node.take(4)
            scratch = Cursor(node.take(16))
            if cached == 2:
                yield Link(_text(name), NOWHERE, _soft(heap.name(scratch.number(4))))
            else:
                yield Link(_text(name), target)
