"""HDF5 as Keras writes it, read in Python: no C library parses a file that may come from a stranger.

Links into other files are not followed, nothing larger than the file is allocated, and no object is reached by two
paths. Arrays are views of the mapped file if they are neither chunked nor compressed, as Keras writes them.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import ml_dtypes
import numpy as np

from dagir.errors import FileError, UnsafeFile
from dagir.ir.arrays import frozen
from dagir.ir.types import Array
from dagir.support import limits
from dagir_keras.reading.files.archive import MAX_COMPRESSED, MAX_RATIO, SMALL, plain
from dagir_keras.reading.files.hdf5_blocks import Blocks, Damaged, Kind, Message, NotRead
from dagir_keras.reading.files.hdf5_chunks import (
    FILTERS,
    VIRTUAL,
    Chunk,
    Layout,
    assemble,
    chunks_of,
    external_file,
    filters_of,
    layout_of,
)
from dagir_keras.reading.files.hdf5_heaps import GlobalHeap
from dagir_keras.reading.files.hdf5_links import Link, is_group, links_of
from dagir_keras.reading.files.hdf5_values import Attribute, Datatype, attributes, datatype, shape_of

_ANEW = "save the model anew with Keras, by model.save(...)"
_BROKEN = (Damaged, struct.error, zlib.error, ValueError, OverflowError)


def open_hdf5(view: memoryview, where: str) -> Group:
    """The root group of an HDF5 file in `view`. Raises FileError."""
    try:
        blocks = Blocks(view)
        messages = blocks.messages(blocks.root)
    except NotRead as error:
        raise FileError(f"{where}: {error}", remedy=_ANEW) from None
    except _BROKEN as error:
        raise FileError(f"{where}: is truncated, or is no HDF5 file: {error}") from None
    return Group(_File(blocks, where), messages, "")


@contextmanager
def _located(where: str) -> Iterator[None]:
    """Within it, an error about bytes becomes a FileError that says where in the file they are."""
    try:
        yield
    except NotRead as error:
        raise FileError(f"{where}: {error}", remedy=_ANEW) from None
    except _BROKEN as error:
        raise FileError(f"{where} is damaged: {error}") from None


class _File:
    """What all objects of one file share: its bytes, and counts of the bytes that were read."""

    def __init__(self, blocks: Blocks, name: str) -> None:
        self.blocks, self.name = blocks, name
        self.heap = GlobalHeap(blocks)
        self.opened = {blocks.root: "/"}
        self._plain = self._unpacked = self._packed = 0

    def open(self, link: Link, path: str) -> Group | Dataset:
        """The object behind a link."""
        if link.refused:
            raise UnsafeFile(f"{self.name}: {plain(path)} is {link.refused}; links are not followed")
        first = self.opened.setdefault(link.address, path)
        if first != path:
            raise UnsafeFile(f"{self.name}: {plain(path)} is {plain(first)} by another name; links are not followed")
        where = f"{self.name}: {plain(path)}"
        with _located(where):
            messages = self.blocks.messages(link.address)
        if is_group(messages):
            return Group(self, messages, path)
        if any(message.kind == Kind.LAYOUT for message in messages):
            return Dataset(self, messages, where)
        raise FileError(f"{where} is neither a group nor a dataset")

    def declare(self, size: int) -> bool:
        """Count bytes of uncompressed arrays; whether the file can have so many without overlaps."""
        self._plain += size
        return self._plain <= len(self.blocks.view)

    def unpack(self, size: int, packed: int) -> bool:
        """Count bytes to be unpacked from `packed` ones; whether the ratio is still plausible."""
        self._unpacked += size
        self._packed += packed
        most = max(SMALL, MAX_RATIO * min(self._packed, len(self.blocks.view)))
        return self._unpacked <= min(most, MAX_COMPRESSED)


class Group:
    """A group whose links all stay within the file."""

    def __init__(self, file: _File, messages: Sequence[Message], path: str) -> None:
        self._file, self._messages, self.path = file, messages, path
        self._opened: dict[str, Group | Dataset] = {}

    @property
    def where(self) -> str:
        """The file and the path in it, for messages."""
        return f"{self._file.name}: {plain(self.path) or '/'}"

    @property
    def names(self) -> list[str]:
        """The names of the members."""
        return list(self._links)

    @cached_property
    def _links(self) -> dict[str, Link]:
        with _located(f"{self.where}:"):
            return links_of(self._file.blocks, self._messages)

    @cached_property
    def _attributes(self) -> dict[str, Attribute]:
        with _located(f"{self.where}: its list of attributes"):
            return attributes(self._file.blocks, self._messages)

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def get(self, path: str) -> Group | Dataset | None:
        """The member at a path, or None. Raises UnsafeFile for a link that is not a hard link."""
        found: Group | Dataset | None = self
        for step in filter(None, path.split("/")):
            if not isinstance(found, Group):
                return None
            found = found._step(step)
        return found

    def group(self, path: str) -> Group | None:
        """The group at a path; None where there is none."""
        found = self.get(path)
        return found if isinstance(found, Group) else None

    def _step(self, name: str) -> Group | Dataset | None:
        link = self._links.get(name)
        if link is None:
            return None
        if name not in self._opened:
            self._opened[name] = self._file.open(link, f"{self.path}/{name}")
        return self._opened[name]

    def text(self, name: str) -> str | None:
        """A text attribute; None where there is none."""
        found = self._attributes.get(name)
        if found is None or not found.count:
            return None
        where = f"{self.where}: attribute {name}"
        if found.count != 1:
            raise FileError(f"{where} holds {found.count} texts, one is expected")
        return self._texts(name)[0]

    def texts(self, name: str) -> list[str] | None:
        """A list of texts, which Keras splits over name0, name1, ... where it is long; None where there is none."""
        if name in self._attributes:
            return self._texts(name)
        parts: list[str] = []
        place = 0
        while f"{name}{place}" in self._attributes:
            parts += self._texts(f"{name}{place}")
            place += 1
        return parts if place else None

    def check(self) -> None:
        """Read all attributes that are texts."""
        for name, attribute in self._attributes.items():
            if attribute.type.text:
                self._texts(name)

    def _texts(self, name: str) -> list[str]:
        with _located(f"{self.where}: attribute {name}"):
            return self._attributes[name].texts(self._file.heap)


class Dataset:
    """A dataset whose numbers are in the file itself."""

    def __init__(self, file: _File, messages: Sequence[Message], where: str) -> None:
        self._file, self._messages, self.where = file, messages, where
        with _located(where):
            shape = self._message(Kind.DATASPACE).cursor()
            self.shape: tuple[int, ...] = shape_of(shape) or ()  # that it declares

    def _message(self, kind: Kind) -> Message:
        found = self._messages_of(kind)
        if len(found) != 1:
            raise Damaged(f"it has {len(found)} messages of kind {kind.name}")
        return found[0]

    def _messages_of(self, kind: Kind) -> list[Message]:
        return [message for message in self._messages if message.kind == kind]

    def _dtype(self, found: Datatype) -> np.dtype[Any]:
        """The dtype of the elements. Raises FileError for elements that are no numbers."""
        if found.opaque and found.size == 2 and self._says_bfloat16():
            return np.dtype(ml_dtypes.bfloat16)
        if found.dtype is None:
            raise FileError(f"{self.where} holds {found.what}, a weight holds numbers")
        return found.dtype

    def _says_bfloat16(self) -> bool:
        """Whether Keras marked elements of two opaque bytes as bfloat16."""
        said = attributes(self._file.blocks, self._messages).get("dtype")
        return said is not None and said.texts(self._file.heap) == ["bfloat16"]

    def check(self) -> None:
        """Read the layout and the attributes, but not the numbers."""
        with _located(self.where):
            layout = self._layout()
            datatype(self._message(Kind.DATATYPE).cursor())
            for attribute in attributes(self._file.blocks, self._messages).values():
                if attribute.type.text:
                    attribute.texts(self._file.heap)
            if layout.data is None and len(layout.chunk) == len(self.shape):
                chunks_of(self._file.blocks, layout, self.shape)

    def array(self) -> Array:
        """The numbers: a view of the file if they are neither chunked nor compressed, else read once.

        Raises UnsafeFile before anything is allocated, if they are in another file or more than the file can contain.
        """
        with _located(self.where):
            return frozen(self._array())

    def _array(self) -> Array:
        layout = self._layout()
        stored = datatype(self._message(Kind.DATATYPE).cursor())
        dtype = self._dtype(stored)
        declared = math.prod(self.shape) * dtype.itemsize
        if layout.data is None:
            found = self._chunked(layout, dtype, declared)
        else:
            if declared > len(layout.data) or not self._file.declare(declared):
                raise self._too_much(declared, len(layout.data))
            found = np.frombuffer(layout.data, dtype, math.prod(self.shape)).reshape(self.shape)
        limits.spend("tensor bytes", declared, self.where.rsplit(": ", 1)[-1])
        if stored.truth:
            return found.view(np.uint8) != 0
        return found.astype(dtype.newbyteorder("="), copy=False) if not dtype.isnative else found

    def _layout(self) -> Layout:
        for message in self._messages_of(Kind.EXTERNAL):
            file = external_file(self._file.blocks, message)[:200]
            raise UnsafeFile(f"{self.where} keeps its numbers in another file, {file!r}")
        layout = layout_of(self._file.blocks, self._message(Kind.LAYOUT))
        if layout.kind == VIRTUAL:
            raise UnsafeFile(f"{self.where} is a virtual dataset, made of other files")
        return layout

    def _chunked(self, layout: Layout, dtype: np.dtype[Any], declared: int) -> Array:
        filters = [each for message in self._messages_of(Kind.FILTERS) for each in filters_of(message)]
        for number, _ in filters:
            if number not in FILTERS:
                raise UnsafeFile(f"{self.where} is packed by filter {number}, a plug-in")
        if len(layout.chunk) != len(self.shape) or layout.size != dtype.itemsize:
            raise Damaged("its chunks do not fit its shape")
        chunks: list[Chunk] = chunks_of(self._file.blocks, layout, self.shape)
        held = sum(chunk.size for chunk in chunks)
        opened = max(declared, len(chunks) * math.prod(layout.chunk) * layout.size)
        if not self._file.unpack(opened, held):
            raise self._too_much(declared, held)
        return assemble(self._file.blocks, layout, chunks, filters, dtype, self.shape)

    def _too_much(self, declared: int, held: int) -> UnsafeFile:
        return UnsafeFile(
            f"{self.where} declares {declared} bytes by its shape {list(self.shape)}, and the file holds {held} of them"
        )


def walk(group: Group) -> Iterator[str]:
    """The names of the members that are groups."""
    for name in group.names:
        if isinstance(group.get(name), Group):
            yield name


def check(root: Group) -> None:
    """Read all groups, attributes and headers, before another reader opens the file. Raises FileError."""
    todo: list[Group | Dataset] = [root]
    while todo:
        found = todo.pop()
        found.check()
        if isinstance(found, Group):
            todo += [member for name in found.names if (member := found.get(name)) is not None]
