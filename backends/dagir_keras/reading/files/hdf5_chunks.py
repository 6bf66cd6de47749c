"""The layout of an HDF5 dataset: its numbers are in one piece, in a header, or in chunks that may be compressed."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dagir.ir.types import Array
from dagir.support import limits
from dagir_keras.reading.files.hdf5_blocks import NOWHERE, Blocks, Cursor, Damaged, Message, NotRead
from dagir_keras.reading.files.hdf5_heaps import LocalHeap, older_tree

_DEFLATE, _SHUFFLE, _SUMMED = 1, 2, 3
FILTERS = {_DEFLATE, _SHUFFLE, _SUMMED}  # filters of HDF5 itself; the others are plug-ins
_COMPACT, _CONTIGUOUS, _CHUNKED, VIRTUAL = 0, 1, 2, 3
_SINGLE, _IMPLICIT = 1, 2  # how newer files find the chunks


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a dataset. skipped: a bit mask of the filters that were not applied."""

    start: tuple[int, ...]
    address: int
    size: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the numbers are: in `data`, or in chunks of one size, listed by an index."""

    kind: int
    data: memoryview | None = None
    chunk: tuple[int, ...] = ()
    size: int = 0  # of an element
    index: int = NOWHERE
    index_kind: int = 0  # 0: an older tree
    held: int = 0  # of a single chunk, packed
    skipped: int = 0


def layout_of(blocks: Blocks, message: Message) -> Layout:
    """Where a dataset keeps its numbers."""
    cursor = message.cursor()
    version = cursor.version((3, 4), "the layout of a dataset")
    kind = cursor.number(1)
    if kind == _COMPACT:
        return Layout(kind, cursor.take(cursor.number(2)))
    if kind == _CONTIGUOUS:
        address, size = cursor.number(), cursor.number()
        return Layout(kind, memoryview(b"") if address == NOWHERE else blocks.at(address, size).data)
    if kind == _CHUNKED:
        return _older(cursor) if version == 3 else _newer(cursor)
    if kind == VIRTUAL:
        return Layout(kind)
    raise Damaged(f"its numbers are laid out in way {kind}, which is not known")


def _older(cursor: Cursor) -> Layout:
    rank = cursor.number(1) - 1
    index = cursor.number()
    chunk = tuple(cursor.number(4) for _ in range(max(rank, 0)))
    return _sound(Layout(_CHUNKED, chunk=chunk, size=cursor.number(4), index=index))


def _newer(cursor: Cursor) -> Layout:
    flags, rank, width = cursor.number(1), cursor.number(1) - 1, cursor.number(1)
    chunk = tuple(cursor.number(width) for _ in range(max(rank, 0)))
    size, kind = cursor.number(width), cursor.number(1)
    held = skipped = 0
    if kind == _SINGLE and flags & 2:
        held, skipped = cursor.number(), cursor.number(4)
    elif kind not in (_SINGLE, _IMPLICIT):
        raise NotRead("its chunks are listed in the newest way of HDF5, which is not read")
    return _sound(Layout(_CHUNKED, None, chunk, size, cursor.number(), kind, held, skipped))


def _sound(layout: Layout) -> Layout:
    if not layout.chunk or not all(layout.chunk) or not layout.size:
        raise Damaged(f"its chunks have the impossible shape {list(layout.chunk)}")
    return layout


def filters_of(message: Message) -> list[tuple[int, tuple[int, ...]]]:
    """The filters of the chunks of a dataset, in the order of writing, each with its parameters."""
    cursor = message.cursor()
    version = cursor.version((1, 2), "the filters of a dataset")
    count = cursor.number(1)
    cursor.take(6 if version == 1 else 0)
    found: list[tuple[int, tuple[int, ...]]] = []
    for _ in range(count):
        number = cursor.number(2)
        name = cursor.number(2) if version == 1 or number >= 256 else 0
        cursor.take(2)
        values = cursor.number(2)
        cursor.take(name + (-name % 8 if version == 1 else 0))
        found.append((number, tuple(cursor.number(4) for _ in range(values))))
        cursor.take(4 * (values % 2) if version == 1 else 0)
    return found


def external_file(blocks: Blocks, message: Message) -> str:
    """The name of the other file with the numbers of a dataset."""
    cursor = message.cursor()
    cursor.version((1,), "a list of other files")
    cursor.take(7)
    heap = LocalHeap(blocks, cursor.number())
    return heap.name(cursor.number()).decode("utf-8", "replace")


def chunks_of(blocks: Blocks, layout: Layout, shape: Sequence[int]) -> list[Chunk]:
    """The chunks that the file holds, none twice."""
    if layout.index == NOWHERE:
        return []
    found: dict[tuple[int, ...], Chunk] = {}
    for chunk in _listed(blocks, layout, shape):
        if any(at % step or at >= size for at, step, size in zip(chunk.start, layout.chunk, shape, strict=True)):
            raise Damaged("a chunk lies outside its dataset")
        if chunk.start in found:
            raise Damaged("a chunk is there twice")
        found[chunk.start] = chunk
    return list(found.values())


def _listed(blocks: Blocks, layout: Layout, shape: Sequence[int]) -> Iterator[Chunk]:
    rank, whole = len(layout.chunk), math.prod(layout.chunk) * layout.size
    if layout.index_kind == 0:
        for key, address in older_tree(blocks, layout.index, 1, 16 + 8 * rank):
            cursor = Cursor(key)
            size, skipped = cursor.number(4), cursor.number(4)
            yield Chunk(tuple(cursor.number() for _ in range(rank)), address, size, skipped)
    elif layout.index_kind == _SINGLE:
        yield Chunk((0,) * rank, layout.index, layout.held or whole, layout.skipped)
    else:
        counts = [-(-size // step) for size, step in zip(shape, layout.chunk, strict=True)]
        limits.spend("names", math.prod(counts), "a dataset in chunks")
        for number, place in enumerate(np.ndindex(*counts)):
            start = tuple(at * step for at, step in zip(place, layout.chunk, strict=True))
            yield Chunk(start, layout.index + number * whole, whole, 0)


def assemble(
    blocks: Blocks,
    layout: Layout,
    chunks: Sequence[Chunk],
    filters: Sequence[tuple[int, tuple[int, ...]]],
    dtype: np.dtype[Any],
    shape: Sequence[int],
) -> Array:
    """The numbers of a dataset, assembled from its chunks, which must cover it."""
    counts = [-(-size // step) for size, step in zip(shape, layout.chunk, strict=True)]
    if len(chunks) != math.prod(counts):
        raise Damaged(f"holds {len(chunks)} of its {math.prod(counts)} chunks: a part was never written")
    result = np.empty(tuple(shape), dtype)
    whole = math.prod(layout.chunk) * layout.size
    for chunk in chunks:
        data = blocks.at(chunk.address, chunk.size).data
        part = np.frombuffer(_unpacked(data, filters, chunk.skipped, whole), dtype).reshape(layout.chunk)
        ends = [min(step, size - at) for at, step, size in zip(chunk.start, layout.chunk, shape, strict=True)]
        target = tuple(slice(at, at + end) for at, end in zip(chunk.start, ends, strict=True))
        result[target] = part[tuple(slice(0, end) for end in ends)]
    return result


def _unpacked(data: Any, filters: Sequence[tuple[int, tuple[int, ...]]], skipped: int, whole: int) -> Any:
    for place in reversed(range(len(filters))):
        number, values = filters[place]
        if skipped >> place & 1:
            continue
        if number == _DEFLATE:
            unpacker = zlib.decompressobj()
            data = unpacker.decompress(data, whole + 5)  # a sum of four bytes may follow
            if not unpacker.eof or len(data) > whole + 4:
                raise Damaged("a chunk is not what its size says")
        elif number == _SHUFFLE:
            data = _shuffled_back(data, values[0] if values else 1)
        else:
            data = _without_sum(data)
    if len(data) != whole:
        raise Damaged(f"a chunk has {len(data)} bytes where {whole} are expected")
    return data


def _shuffled_back(data: Any, size: int) -> Any:
    """Undo the shuffle filter. The bytes after the last whole element are not shuffled."""
    if size < 2 or len(data) < size:
        return data
    count = len(data) // size
    found = np.frombuffer(data, np.uint8)
    return found[: count * size].reshape(size, count).T.tobytes() + found[count * size :].tobytes()


def _without_sum(data: Any) -> Any:
    """The bytes without their Fletcher checksum, which must be right."""
    if len(data) < 4:
        raise Damaged("a chunk ends before its checksum")
    body, said = memoryview(data)[:-4], int.from_bytes(bytes(data[-4:]), "little")
    found = _fletcher(body)
    backwards = int.from_bytes(found.to_bytes(4, "little")[1::-1] + found.to_bytes(4, "little")[:1:-1], "little")
    if said not in (found, backwards):  # HDF5 before 1.6.3 reversed the bytes
        raise Damaged("the checksum of a chunk does not agree")
    return body


def _fletcher(data: memoryview) -> int:
    words = np.frombuffer(data[: len(data) // 2 * 2], ">u2")
    first = second = 0
    for start in range(0, len(words), 1 << 16):
        part = words[start : start + (1 << 16)].astype(np.uint64)
        second += first * len(part) + int((part * np.arange(len(part), 0, -1, dtype=np.uint64)).sum())
        first += int(part.sum())
    if len(data) % 2:
        first += data[-1] << 8
        second += first
    return (_folded(second) << 16) | _folded(first)


def _folded(total: int) -> int:
    return (total - 1) % 0xFFFF + 1 if total else 0
