"""Reads an .onnx file without its weights: it walks the fields in the mapped file, and skips those of weights.

Small ones are kept whole: they are shapes and axes, from which the shapes of tensors are inferred.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, TensorProto

from dagir.errors import FileError
from dagir_onnx.untrusted_proto import no_model, require_file

_FIXED = {1: 8, 5: 4}
_SMALL = 512
"""The bytes up to which a weight is kept with its numbers."""
_TOLD = (
    TensorProto.DIMS_FIELD_NUMBER,
    TensorProto.DATA_TYPE_FIELD_NUMBER,
    TensorProto.NAME_FIELD_NUMBER,
    TensorProto.DATA_LOCATION_FIELD_NUMBER,
    TensorProto.EXTERNAL_DATA_FIELD_NUMBER,
)


def skim(path: Path) -> ModelProto:
    """The model in a file, with initializers that have no numbers, but for small ones. Raises FileError."""
    return skim_with_numbers(path)[0]


def skim_with_numbers(path: Path) -> tuple[ModelProto, list[memoryview]]:
    """The same, and where the whole message of each initializer lies in the mapped file. Raises FileError."""
    require_file(path)
    try:
        with path.open("rb") as file:  # the map is closed with its last view
            return _skim(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, DecodeError) as error:  # mmap refuses an empty file with a ValueError
        raise no_model(path) from error


def raw_data(message: memoryview) -> memoryview | None:
    """The raw numbers of a tensor's message, None where it holds them in another way or in parts."""
    found = [(body, end) for number, _, body, end in _fields(message) if number == TensorProto.RAW_DATA_FIELD_NUMBER]
    return message[found[0][0] : found[0][1]] if len(found) == 1 else None


def _skim(view: memoryview) -> tuple[ModelProto, list[memoryview]]:
    model, kept = ModelProto(), bytearray()
    messages: list[memoryview] = []
    for number, start, body, end in _fields(view):
        if number == ModelProto.GRAPH_FIELD_NUMBER:
            messages += _skim_graph(view[body:end], model.graph)
        else:
            kept += view[start:end]
    model.MergeFromString(bytes(kept))
    if not model.graph.output:
        raise ValueError("a model has outputs")
    return model, messages


def _skim_graph(view: memoryview, graph: GraphProto) -> list[memoryview]:
    kept, messages = bytearray(), []
    for number, start, body, end in _fields(view):
        if number != GraphProto.INITIALIZER_FIELD_NUMBER:
            kept += view[start:end]
            continue
        messages.append(view[body:end])
        if end - body <= _SMALL:
            graph.initializer.add().MergeFromString(bytes(view[body:end]))
            continue
        told = b"".join(view[body + a : body + b] for n, a, _, b in _fields(view[body:end]) if n in _TOLD)
        graph.initializer.add().MergeFromString(told)
    graph.MergeFromString(bytes(kept))
    return messages


def _fields(view: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """For each field its number, and where the field, its value and the next field begin. Raises ValueError."""
    at = 0
    while at < len(view):
        start = at
        key, at = _varint(view, at)
        body, wire = at, key & 7
        if wire == 2:
            size, body = _varint(view, at)
            at = body + size
        elif wire == 0:
            _, at = _varint(view, at)
        elif wire in _FIXED:
            at += _FIXED[wire]
        else:
            raise ValueError(f"wire type {wire}")
        if at > len(view) or not key >> 3:
            raise ValueError("a field reaches past the end")
        yield key >> 3, start, body, at


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(view):
            raise ValueError("a number reaches past the end")
        byte = view[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise ValueError("a number has more than ten bytes")
