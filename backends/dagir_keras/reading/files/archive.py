"""The container of a Keras file: a zip (.keras) or an HDF5 file (.h5), opened without trusting it.

Nothing is extracted. Sizes are checked against the size of the file before anything is read. A member without
compression, as Keras writes weights, stays in the mapped file.
"""

from __future__ import annotations

import io
import json
import mmap
import struct
import zipfile
import zlib
from typing import Any

from dagir.errors import FileError, UnsafeFile
from dagir.serialization.reading import shown
from dagir.support import limits

ZIP = b"PK\x03\x04"
HDF5 = b"\x89HDF\r\n\x1a\n"
MAX_COMPRESSED = 16 << 30  # of compressed weights, which Keras never writes
MAX_RATIO = 1000  # just under what deflate can reach
SMALL = 64 << 20  # below it no ratio is suspicious
MAX_DIRECTORY = 64 << 20  # bytes of the list of members: a Keras file has a few
_END = b"PK\5\6"  # begins the record behind the list of members
_PART = 4 << 20  # of a member, summed at a time
MAX_DEPTH = 600  # of JSON; each nested model takes six


def plain(name: str) -> str:
    """A name in a file, for messages, without characters that a terminal does not show."""
    return name if name.isprintable() else shown(name)


class Window(io.RawIOBase):
    """A part of a buffer as a file: `view` is the bytes themselves, without a copy."""

    def __init__(self, view: memoryview) -> None:
        self.view, self._at = view, 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, and return the new place."""
        if whence == io.SEEK_SET:  # as HDF5 does thousands of times
            self._at = offset
        else:
            self._at = offset + {io.SEEK_CUR: self._at, io.SEEK_END: len(self.view)}[whence]
        return self._at

    def tell(self) -> int:
        """The place."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with the next bytes, and return how many."""
        into = memoryview(buffer).cast("B")
        part = self.view[self._at : self._at + len(into)]
        into[: len(part)] = part
        self._at += len(part)
        return len(part)


class Archive:
    """A .keras file. Raises FileError where it is damaged, UnsafeFile where it is malicious."""

    def __init__(self, path: str, data: mmap.mmap) -> None:
        self.path, self._map = path, data
        self._view = memoryview(data)
        self._check_directory()
        try:
            with zipfile.ZipFile(Window(self._view)) as opened:
                members = opened.infolist()
        except Exception as error:  # zipfile raises many kinds of errors on damage
            raise FileError(
                f"{path}: is truncated or damaged: it begins as a zip file does, and has no directory "
                f"({shown(str(error))})"
            ) from None
        self._members = self._checked(members)

    def _check_directory(self) -> None:
        """Refuse a list of members that takes gigabytes, before zipfile reads it."""
        start = self._map.rfind(_END, max(0, len(self._view) - (1 << 16) - 22))
        size = int.from_bytes(self._view[start + 12 : start + 16], "little") if start >= 0 else 0
        if size == 0xFFFFFFFF:  # it is in another record, before this one and its locator
            size = int.from_bytes(self._view[max(start - 36, 0) : max(start - 28, 0)], "little")
        if size > MAX_DIRECTORY:
            raise UnsafeFile(f"{self.path}: lists its members in {size} bytes, a Keras file has a few members")

    def _checked(self, members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
        found: dict[str, zipfile.ZipInfo] = {}
        limits.spend("names", len(members), "its list of members")
        for member in members:
            name = member.orig_filename
            steps = name.replace("\\", "/").split("/")
            if "\0" in name or ".." in steps or name.startswith(("/", "\\")) or ":" in steps[0]:
                raise UnsafeFile(f"{self.path}: member {shown(name)} points outside the archive")
            if name in found:
                raise UnsafeFile(f"{self.path}: member {shown(name)} is there twice")
            found[name] = member
        return found

    @property
    def names(self) -> list[str]:
        """The names of the members."""
        return list(self._members)

    def config(self) -> Any:
        """The JSON of config.json."""
        if "config.json" not in self._members:
            raise FileError(
                f"{self.path}: has no config.json, so it is no Keras model",
                remedy="save the model with model.save('name.keras')",
            )
        return parse_config(self.text("config.json"), f"{self.path}: config.json")

    def text(self, name: str) -> bytes:
        """The bytes of a text member, counted against the budget of the file."""
        size = self._members[name].file_size
        limits.spend("json bytes", size, f"member {plain(name)} declares {size} bytes, which")
        return bytes(self.member(name))

    def member(self, name: str) -> memoryview:
        """The bytes of a member: a part of the mapped file if it is not compressed, else unpacked once."""
        member = self._members[name]
        where = f"{self.path}: member {plain(name)}"
        if member.flag_bits & 0x1:
            raise FileError(f"{where} is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FileError(f"{where} is packed by method {member.compress_type}, which Keras does not use")
        stored = member.compress_type == zipfile.ZIP_STORED
        if stored and member.file_size != member.compress_size:
            raise FileError(f"{where} is stored as it is and has two sizes")
        if member.file_size > MAX_COMPRESSED and not stored:
            raise UnsafeFile(f"{where} declares {member.file_size} bytes, more than the {MAX_COMPRESSED} that are read")
        if member.file_size > max(SMALL, MAX_RATIO * member.compress_size):
            raise UnsafeFile(
                f"{where} declares {member.file_size} bytes in {member.compress_size}, which is how a zip bomb looks"
            )
        start = self._start(member, where)
        raw = self._view[start : start + member.compress_size]
        if not stored:
            return self._unpacked(raw, member, where)
        if self._sum(start, member.compress_size) != member.CRC:
            raise FileError(f"{where} is not what the directory says: the file is damaged")
        return raw

    def _start(self, member: zipfile.ZipInfo, where: str) -> int:
        header = bytes(self._view[member.header_offset : member.header_offset + 30])
        if len(header) < 30 or header[:4] != ZIP:
            raise FileError(f"{where} is not where the directory says: the file is truncated or damaged")
        start = member.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
        if start + member.compress_size > len(self._view):
            raise FileError(f"{where} is truncated")
        return start

    def _sum(self, start: int, size: int) -> int:
        """The checksum of bytes of the mapped file, whose memory is released at once."""
        found = 0
        for begin in range(start, start + size, _PART):
            end = min(begin + _PART, start + size)
            found = zlib.crc32(self._view[begin:end], found)
            if size > _PART and hasattr(mmap, "MADV_DONTNEED"):
                page = begin // mmap.PAGESIZE * mmap.PAGESIZE
                self._map.madvise(mmap.MADV_DONTNEED, page, end - page)
        return found

    def _unpacked(self, raw: memoryview, member: zipfile.ZipInfo, where: str) -> memoryview:
        unpacker = zlib.decompressobj(-15)
        try:
            data = unpacker.decompress(raw, member.file_size + 1)
        except zlib.error as error:
            raise FileError(f"{where} cannot be unpacked: {error}") from None
        if len(data) != member.file_size or zlib.crc32(data) != member.CRC:
            raise FileError(f"{where} is not what the directory says: the file is damaged")
        return memoryview(data)


def parse_config(text: bytes | str, where: str) -> dict[str, Any]:
    """JSON as Keras writes it, NaN and Infinity included. Raises FileError on duplicate keys and deep nesting."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(found)
        if len(result) != len(found):
            keys = [key for key, _ in found]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise FileError(f"{where}: the key {shown(twice)} stands twice in one object")
        return result

    limits.spend("json values", _values(text), where.rsplit(": ", 1)[-1])
    try:
        data = json.loads(text, object_pairs_hook=pairs)
    except RecursionError:
        raise FileError(f"{where}: the JSON is nested too deep") from None
    except ValueError as error:
        raise FileError(f"{where}: is no valid JSON: {str(error)[:80]}") from None
    _check_depth(data, where)
    if not isinstance(data, dict):
        raise FileError(f"{where}: must be a JSON object, got {shown(data)}")
    return data


def _values(text: bytes | str) -> int:
    """An upper bound of the values in JSON text, counted before it is parsed: a value takes much more memory."""
    if isinstance(text, str):
        return sum(map(text.count, ",[{:"))
    return sum(map(text.count, (b",", b"[", b"{", b":")))


def _check_depth(data: Any, where: str) -> None:
    level: list[Any] = [data] if isinstance(data, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        parts = [part.values() if isinstance(part, dict) else part for part in level]
        level = [inner for part in parts for inner in part if isinstance(inner, (dict, list))]
        if not level:
            return
    raise FileError(f"{where}: the JSON is nested too deep, past {MAX_DEPTH} levels")
