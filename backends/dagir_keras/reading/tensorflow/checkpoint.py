"""A checkpoint of TensorFlow: an index, which is a table of LevelDB's format, and files of data, which are mapped.

The index has a BundleHeader under the empty key and a BundleEntry under the key of each tensor; the formats are those
of tensorflow/core/util/tensor_bundle and of LevelDB's table_format.md.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

import numpy as np

from dagir.errors import FileError
from dagir.ir.types import Array
from dagir.support import limits
from dagir.support.crc32c import crc32c, masked
from dagir_keras.reading.mapped_files import map_file
from dagir_keras.reading.tensorflow.dtypes import dtype_of
from dagir_keras.reading.tensorflow.messages import Message, decode

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_TRAILER = 5  # of a block: how it is compressed, and its checksum


class Checkpoint:
    """The tensors of a checkpoint, by their keys. prefix: the path without .index. Raises FileError."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        path = f"{prefix}.index"
        data = memoryview(map_file(path))
        try:
            found = {bytes(key): bytes(part) for key, part in _table(data, path)}
        except (IndexError, ValueError, struct.error) as error:
            raise FileError(f"{path}: is no index of a checkpoint: {error}") from None
        header = decode(found.pop(b"", b""), "BundleHeader", path)
        if header.get("endianness", 0):
            raise FileError(f"{path}: its numbers are big-endian, which dagir does not read")
        self.shards = int(header.get("shards", 1))
        self._entries = {
            key.decode("utf-8", "replace"): decode(part, "BundleEntry", f"{path}: {key!r}")
            for key, part in found.items()
        }
        self._data: dict[int, memoryview] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def keys(self) -> list[str]:
        """The keys of all tensors."""
        return list(self._entries)

    def array(self, key: str) -> Array:
        """The array of a tensor: a view of the mapped file. Raises FileError, and Refused for an unknown dtype."""
        entry, where = self._entries[key], f"{self.prefix}: {key}"
        if entry["slices"]:
            raise FileError(f"{where}: is stored in slices, of a variable that was partitioned")
        dtype = np.dtype(dtype_of(entry.get("dtype", 0)).numpy)
        shape = _shape(entry)
        data = self._bytes(entry, where)
        if any(size < 0 for size in shape) or int(np.prod(shape, dtype=object)) * dtype.itemsize != len(data):
            raise FileError(f"{where}: has {len(data)} bytes for the shape {list(shape)} of {dtype}")
        if masked(crc32c(data)) != entry.get("crc", 0):
            raise FileError(f"{where}: is damaged: its checksum is another one")
        return np.frombuffer(data, dtype).reshape(shape)

    def _bytes(self, entry: Message, where: str) -> memoryview:
        shard, start, size = entry.get("shard", 0), entry.get("offset", 0), entry.get("size", 0)
        if not 0 <= shard < self.shards:
            raise FileError(f"{where}: is in part {shard} of {self.shards}")
        if shard not in self._data:
            path = f"{self.prefix}.data-{shard:05d}-of-{self.shards:05d}"
            is_empty = os.path.isfile(path) and not os.path.getsize(path)  # of variables without elements
            self._data[shard] = memoryview(b"") if is_empty else memoryview(map_file(path))
        data = self._data[shard]
        if start < 0 or size < 0 or start + size > len(data):
            raise FileError(f"{where}: ends behind its file of data")
        return data[start : start + size]


def _shape(entry: Message) -> tuple[int, ...]:
    return tuple(each.get("size", 0) for each in entry.get("shape", {}).get("dims", []))


def _table(data: memoryview, path: str) -> Iterator[tuple[bytes, memoryview]]:
    """The entries of a table."""
    if len(data) < _FOOTER or struct.unpack("<Q", data[-8:])[0] != _MAGIC:
        raise ValueError("it does not end as a table does")
    _, _, place = _handle(data[-_FOOTER:], 0)  # of the metaindex
    start, size, _ = _handle(data[-_FOOTER:], place)
    for _, handle in _block(data, start, size):
        inner_start, inner_size, _ = _handle(handle, 0)
        for key, part in _block(data, inner_start, inner_size):
            limits.spend("nodes", 1, path)
            yield key, part


def _handle(data: memoryview, place: int) -> tuple[int, int, int]:
    start, place = _varint(data, place)
    size, place = _varint(data, place)
    return start, size, place


def _block(data: memoryview, start: int, size: int) -> Iterator[tuple[bytes, memoryview]]:
    """The entries of a block: each key shares its beginning with the one before it."""
    whole = data[start : start + size + _TRAILER]
    if len(whole) < size + _TRAILER or size < 4:
        raise ValueError("a block ends behind the file")
    if whole[size]:
        raise ValueError("it is compressed, as TensorFlow does not write it")
    if masked(crc32c(whole[: size + 1])) != struct.unpack("<I", whole[size + 1 :])[0]:
        raise ValueError("a block is damaged: its checksum is another one")
    block = whole[:size]
    end = size - 4 - 4 * struct.unpack("<I", block[-4:])[0]
    place, key = 0, b""
    while place < end:
        shared, place = _varint(block, place)
        fresh, place = _varint(block, place)
        length, place = _varint(block, place)
        if shared > len(key) or place + fresh + length > end:
            raise ValueError("an entry ends behind its block")
        key = key[:shared] + bytes(block[place : place + fresh])
        yield key, block[place + fresh : place + fresh + length]
        place += fresh + length


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    found = shift = 0
    while shift < 70:
        part = data[place]
        found |= (part & 127) << shift
        place, shift = place + 1, shift + 7
        if part < 128:
            return found, place
    raise ValueError("a number does not end")
