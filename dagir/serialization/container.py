"""The container: a safetensors file, which is 8 bytes of header length, a JSON header, and the tensors end to end.

Written here and not by the safetensors library, so that tensors stream to the disk one by one without a second copy
in memory; read here, so that the tensors stay memory-mapped in every dtype and that what the library lets pass
(duplicate keys) is refused. The tests hold every file against the library.
"""

from __future__ import annotations

import contextlib
import json
import math
import mmap
import os
import stat
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from dagir.errors import FileError
from dagir.ir.types import Array, DType
from dagir.serialization.formats import DAGIR, format_of
from dagir.serialization.reading import Place, Record, expect, parse_json, shown
from dagir.support import limits
from dagir.support.file_replacement import check_free
from dagir.support.lfs import refuse_pointer
from dagir.support.paths import checked

MAX_HEADER = 100_000_000  # the library's own limit
_CODES = {
    DType.FLOAT64: "F64",
    DType.FLOAT32: "F32",
    DType.FLOAT16: "F16",
    DType.BFLOAT16: "BF16",
    DType.INT64: "I64",
    DType.INT32: "I32",
    DType.INT16: "I16",
    DType.INT8: "I8",
    DType.UINT64: "U64",
    DType.UINT32: "U32",
    DType.UINT16: "U16",
    DType.UINT8: "U8",
    DType.BOOL: "BOOL",
    DType.FLOAT8_E4M3FN: "F8_E4M3",
    DType.FLOAT8_E5M2: "F8_E5M2",
    DType.FLOAT8_E4M3FNUZ: "F8_E4M3FNUZ",
    DType.FLOAT8_E5M2FNUZ: "F8_E5M2FNUZ",
    DType.FLOAT8_E8M0FNU: "F8_E8M0",
}
_DTYPES = {code: dtype for dtype, code in _CODES.items()}
_IN_A_BYTE = (DType.FLOAT4_E2M1FN, DType.INT4, DType.UINT4, DType.INT2, DType.UINT2)
"""Dtypes that safetensors has no code for, or packs: an element is a byte of a U8, and the metadata names the dtype."""
_NAMED = "dagir.dtypes"


def raw_bytes(array: Array) -> Array:
    """The bytes of an array in row-major order: a view, or a copy where the array is not laid out so."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def checksum(array: Array) -> int:
    """CRC-32 of the bytes of an array: it finds damage, at several GB/s; it is no proof against an adversary."""
    return zlib.crc32(raw_bytes(array).data)


def write(path: str, tensors: Mapping[str, Array], metadata: Mapping[str, str], *, overwrite: bool) -> None:
    """Write to a new file beside `path`, then rename it into place. Raises FileError, and leaves no half file."""
    checked(path)
    target = os.path.realpath(path)
    check_free(path, overwrite=True)
    if not overwrite and os.path.lexists(target):
        raise FileError(f"{path}: exists already", remedy="pass overwrite=True to replace it")
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name}.{os.urandom(4).hex()}.tmp")
    # wide elements first, so that every tensor is aligned for its dtype
    order = sorted(tensors, key=lambda key: -tensors[key].dtype.itemsize)
    header = _header({key: tensors[key] for key in order}, metadata, path)
    try:
        with open(temporary, "xb") as file:
            file.write(len(header).to_bytes(8, "little"))
            file.write(header)
            for key in order:
                file.write(raw_bytes(tensors[key]).data)
        os.replace(temporary, target)
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _header(tensors: Mapping[str, Array], metadata: Mapping[str, str], path: str) -> bytes:
    named = {name: str(DType.of(a.dtype)) for name, a in tensors.items() if DType.of(a.dtype) in _IN_A_BYTE}
    entries: dict[str, object] = {"__metadata__": dict(metadata) | ({_NAMED: json.dumps(named)} if named else {})}
    begin = 0
    for name, array in tensors.items():
        end = begin + array.nbytes
        code = _CODES.get(DType.of(array.dtype), _CODES[DType.UINT8])
        entries[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [begin, end]}
        begin = end
    header = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    if len(header) > MAX_HEADER:
        raise FileError(f"{path}: the graph takes {len(header)} bytes, a safetensors header holds {MAX_HEADER}")
    return header


def read(path: str) -> tuple[dict[str, Array], dict[str, str]]:
    """The tensors, mapped and read-only, and the metadata. Raises FileError for anything unexpected."""
    place = Place(path)
    checked(path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # before `open`, which would wait forever on a pipe
            raise place.error("is a folder or a device, not a file")
        refuse_pointer(path)
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(16)
            if (other := format_of(head)) is not None and other is not DAGIR:
                raise place.error(f"is a file of {other.name}", other.read.format(repr(path)))
            length = _header_length(head[:8], size, place)
            file.seek(8)
            header = file.read(length)
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise place.error("there is no such file") from None
    except OSError as error:
        raise place.error(f"cannot be read: {error.strerror or error}") from None
    entries = _parse_header(header, place)
    metadata: Any = entries.pop("__metadata__", {})
    for key, text in expect(metadata, dict, place / "__metadata__").items():
        expect(text, str, place / "__metadata__" / key)
    start = 8 + length
    tensors = _tensors(entries, np.frombuffer(mapped, np.uint8)[start:], place)
    return tensors | _decoded(tensors, metadata.pop(_NAMED, "{}"), place / "__metadata__" / _NAMED), metadata


def _decoded(tensors: Mapping[str, Array], text: str, place: Place) -> dict[str, Array]:
    """The tensors whose elements are codes of less than 8 bits, in the dtypes that the metadata names."""
    found = {}
    for name, dtype in expect(parse_json(text, place), dict, place).items():
        bytes_ = tensors.get(name)
        if bytes_ is None or bytes_.dtype != np.uint8 or dtype not in _IN_A_BYTE:
            raise (place / name).error(f"names a tensor of bytes as {shown(dtype)}, and there is none such")
        found[name] = bytes_.view(DType(dtype).numpy)
    return found


def _header_length(first: bytes, size: int, place: Place) -> int:
    if size == 0:
        raise place.error("is empty")
    length = int.from_bytes(first, "little")
    if size < 8 or (length > size - 8 and length <= MAX_HEADER):
        raise place.error("is truncated: the file ends within its header")
    if length > MAX_HEADER or length < 2:
        raise place.error(f"is no safetensors file: it declares a header of {length} bytes")
    return length


def _parse_header(header: bytes, place: Place) -> dict[str, object]:
    try:
        text = header.decode()
    except UnicodeDecodeError:
        raise place.error("is no safetensors file: its header is no text") from None
    if not text.startswith("{"):
        raise place.error("is no safetensors file: its header is no JSON object")
    return expect(parse_json(text, place), dict, place)


def _tensors(entries: dict[str, object], data: Array, place: Place) -> dict[str, Array]:
    spans: list[tuple[int, int, str]] = []
    tensors: dict[str, Array] = {}
    limits.spend("names", len(entries), "the header")
    for name, entry in entries.items():
        begin, end, dtype, shape = _entry(Record(entry, place / name))
        if end > data.size:
            raise (place / name).error(f"is truncated: its bytes end at {end}, the file has {data.size}")
        spans.append((begin, end, name))
        tensors[name] = data[begin:end].view(dtype.numpy).reshape(shape)
        if dtype is DType.BOOL and (data[begin:end] > 1).any():
            raise (place / name).error("is boolean and holds bytes other than 0 and 1")
    reached = 0
    for begin, end, name in sorted(spans):
        if begin != reached:
            problem = "overlap those of another tensor" if begin < reached else f"leave a gap of {begin - reached}"
            raise (place / name).error(f"its bytes {problem}")
        reached = end
    if reached != data.size:
        raise place.error(f"{data.size - reached} trailing bytes belong to no tensor")
    return tensors


def _entry(record: Record) -> tuple[int, int, DType, tuple[int, ...]]:
    place = record.place
    code = record.take("dtype", str)
    if code not in _DTYPES:
        raise place.error(f"has dtype {shown(code)}; known are {', '.join(_DTYPES)}")
    shape = [expect(size, int, place / "shape" / i) for i, size in enumerate(record.take("shape", list))]
    offsets = [expect(at, int, place / "data_offsets" / i) for i, at in enumerate(record.take("data_offsets", list))]
    record.done()
    if len(shape) > 32 or any(size < 0 for size in shape):
        raise place.error(f"has the shape {shown(shape)}")
    if len(offsets) != 2 or not 0 <= offsets[0] <= offsets[1]:
        raise place.error(f"has the offsets {shown(offsets)}")
    if math.prod(size or 1 for size in shape) >= 2**56:  # NumPy multiplies sizes beside a 0
        raise place.error(f"has the shape {shown(shape)}, which is larger than any array")
    declared = math.prod(shape) * _DTYPES[code].numpy.itemsize
    if declared != offsets[1] - offsets[0]:
        raise place.error(f"declares {declared} bytes by its shape and {offsets[1] - offsets[0]} by its offsets")
    return offsets[0], offsets[1], _DTYPES[code], tuple(shape)
