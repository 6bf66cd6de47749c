"""TensorFlow's protocol buffers, decoded by their field numbers: nothing of TensorFlow is needed, and nothing is run.

A message becomes a dict from the names of its fields to what they hold: a list for a repeated field, a dict for a map.
Fields that reading does not need are skipped. The numbers are those of tensorflow/core/framework and core/protobuf.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from dagir.errors import FileError
from dagir.support import limits

Message: TypeAlias = dict[str, Any]

_DEEPEST = 64


@dataclass(frozen=True)
class Field:
    """kind: int, bool, float, double, bytes, view, text, or the name of a message. form: one, many, map (text keys)."""

    name: str
    kind: str
    form: str = "one"


def _fields(**fields: tuple[int, str] | tuple[int, str, str]) -> dict[int, Field]:
    return {number: Field(name, *rest) for name, (number, *rest) in fields.items()}


SCHEMAS: Mapping[str, Mapping[int, Field]] = {
    "SavedModel": _fields(meta_graphs=(2, "MetaGraph", "many")),
    "MetaGraph": _fields(
        info=(1, "MetaInfo"),
        graph=(2, "Graph"),
        saver=(3, "Saver"),
        collections=(4, "Collection", "map"),
        signatures=(5, "Signature", "map"),
        assets=(6, "Asset", "many"),
        objects=(7, "Objects"),
    ),
    "MetaInfo": _fields(tags=(4, "text", "many")),
    "Saver": _fields(filename=(1, "text"), save=(2, "text"), restore=(3, "text")),
    "Collection": _fields(nodes=(1, "NodeList"), byte_lists=(2, "BytesList"), anything=(5, "AnyList")),
    "AnyList": _fields(value=(1, "Any", "many")),
    "Any": _fields(value=(2, "bytes")),
    "NodeList": _fields(value=(1, "text", "many")),
    "BytesList": _fields(value=(1, "bytes", "many")),
    "Signature": _fields(inputs=(1, "TensorInfo", "map"), outputs=(2, "TensorInfo", "map"), method=(3, "text")),
    "TensorInfo": _fields(name=(1, "text"), dtype=(2, "int"), shape=(3, "Shape")),
    "Asset": _fields(tensor=(1, "TensorInfo"), filename=(2, "text")),
    "Objects": _fields(nodes=(1, "Object", "many"), functions=(2, "BoundFunction", "map")),
    "BoundFunction": _fields(bound=(2, "int", "many")),  # the objects whose values it takes behind its arguments
    "Object": _fields(children=(1, "Reference", "many"), variable=(7, "Variable")),
    "Reference": _fields(node=(1, "int"), name=(2, "text")),
    "Variable": _fields(dtype=(1, "int"), shape=(2, "Shape"), trainable=(3, "bool"), name=(6, "text")),
    "VariableDef": _fields(name=(1, "text")),
    "Graph": _fields(nodes=(1, "Node", "many"), library=(2, "Library")),
    "Library": _fields(functions=(1, "view", "many")),  # each a Function, of which a model calls a few
    "Function": _fields(
        signature=(1, "OpDef"), nodes=(3, "Node", "many"), returns=(4, "text", "map")
    ),
    "OpDef": _fields(name=(1, "text"), inputs=(2, "Argument", "many"), outputs=(3, "Argument", "many")),
    "Argument": _fields(name=(1, "text"), type=(3, "int")),
    "Node": _fields(
        name=(1, "text"), op=(2, "text"), inputs=(3, "text", "many"), attributes=(5, "Attribute", "map")
    ),
    "Attribute": _fields(
        list=(1, "AttributeList"),
        s=(2, "bytes"),
        i=(3, "int"),
        f=(4, "float"),
        b=(5, "bool"),
        type=(6, "int"),
        shape=(7, "Shape"),
        tensor=(8, "Tensor"),
        func=(10, "NameAttributes"),
    ),
    "AttributeList": _fields(
        s=(2, "bytes", "many"),
        i=(3, "int", "many"),
        f=(4, "float", "many"),
        b=(5, "bool", "many"),
        type=(6, "int", "many"),
        shape=(7, "Shape", "many"),
        tensor=(8, "Tensor", "many"),
        func=(9, "NameAttributes", "many"),
    ),
    "NameAttributes": _fields(name=(1, "text"), attributes=(2, "Attribute", "map")),
    "Shape": _fields(dims=(2, "Dim", "many"), unknown_rank=(3, "bool")),
    "Dim": _fields(size=(1, "int"), name=(2, "text")),
    "Tensor": _fields(
        dtype=(1, "int"),
        shape=(2, "Shape"),
        content=(4, "view"),
        float_val=(5, "float", "many"),
        double_val=(6, "double", "many"),
        int_val=(7, "int", "many"),
        string_val=(8, "bytes", "many"),
        complex_val=(9, "float", "many"),
        complex128_val=(12, "double", "many"),
        int64_val=(10, "int", "many"),
        bool_val=(11, "bool", "many"),
        half_val=(13, "int", "many"),
        uint32_val=(16, "int", "many"),
        uint64_val=(17, "int", "many"),
    ),
    "Trackable": _fields(nodes=(1, "TrackableNode", "many")),
    "TrackableNode": _fields(attributes=(2, "TrackableTensor", "many")),
    "TrackableTensor": _fields(name=(1, "text"), full_name=(2, "text"), key=(3, "text")),
    "BundleHeader": _fields(shards=(1, "int"), endianness=(2, "int")),
    "BundleEntry": _fields(
        dtype=(1, "int"), shape=(2, "Shape"), shard=(3, "int"), offset=(4, "int"), size=(5, "int"), crc=(6, "fixed"),
        slices=(7, "bytes", "many"),
    ),
}  # fmt: skip

_SCALARS = {"int", "bool", "float", "double", "fixed"}


def decode(data: bytes | memoryview, kind: str, where: str) -> Message:
    """The message of a kind. where: what it is of, for errors. Raises FileError for what is no such message."""
    try:
        return _message(memoryview(data), kind, 0, where)
    except (ValueError, IndexError, struct.error, UnicodeDecodeError) as error:
        raise FileError(f"{where}: is not what TensorFlow writes: {str(error)[:120]}") from None


def _message(data: memoryview, kind: str, depth: int, where: str) -> Message:
    if depth > _DEEPEST:
        raise ValueError(f"messages are nested more than {_DEEPEST} deep")
    schema = SCHEMAS[kind]
    found: Message = {
        field.name: [] if field.form == "many" else {} for field in schema.values() if field.form != "one"
    }
    for number, wire, part in parts(data):
        field = schema.get(number)
        if field is None:
            continue
        if field.form == "map":
            key, entry = _entry(part, field.kind, depth, where)
            found[field.name][key] = entry
        elif field.form == "many" and wire == 2 and field.kind in _SCALARS:
            found[field.name] += _packed(part, field.kind)
        else:
            made = _value(part, field.kind, depth, where)
            if field.form == "many":
                limits.spend("nodes", 1, where)
                found[field.name].append(made)
            else:
                found[field.name] = made
    return found


def _entry(data: Any, kind: str, depth: int, where: str) -> tuple[str, Any]:
    key, entry = "", _value(memoryview(b""), kind, depth, where)
    for number, _, part in parts(_view(data)):
        if number == 1:
            key = bytes(part).decode("utf-8")
        elif number == 2:
            entry = _value(part, kind, depth, where)
    return key, entry


def _value(part: Any, kind: str, depth: int, where: str) -> Any:
    if kind in _SCALARS:
        return _scalar(part, kind)
    if kind == "bytes":
        return bytes(_view(part))
    if kind == "view":  # weights of a graph, which stay in the file
        return _view(part)
    if kind == "text":
        return bytes(_view(part)).decode("utf-8")
    return _message(_view(part), kind, depth + 1, where)


def _view(part: Any) -> memoryview:
    if not isinstance(part, memoryview):
        raise ValueError("a number stands where a message belongs")
    return part


def _scalar(part: Any, kind: str) -> Any:
    if kind in ("int", "bool"):
        if isinstance(part, memoryview):
            raise ValueError("a message stands where a number belongs")
        signed = part - (1 << 64) if part >> 63 else part
        return bool(part) if kind == "bool" else signed
    return struct.unpack({"float": "<f", "double": "<d", "fixed": "<I"}[kind], part)[0]


def _packed(data: memoryview, kind: str) -> list[Any]:
    if kind in ("float", "double"):
        code = "f" if kind == "float" else "d"
        return [each for (each,) in struct.iter_unpack(f"<{code}", data)]
    found, place = [], 0
    while place < len(data):
        number, place = _varint(data, place)
        found.append(_scalar(number, kind))
    return found


def parts(data: memoryview) -> Iterator[tuple[int, int, Any]]:
    """(number, wire type, value) of each field of a message: an int, or a view of its bytes. Raises ValueError."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        wire, number = tag & 7, tag >> 3
        if wire == 0:
            found, place = _varint(data, place)
            yield number, wire, found
            continue
        if wire == 2:
            size, place = _varint(data, place)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"it has a field of the wire type {wire}")
        if place + size > len(data):
            raise ValueError("it ends within a field")
        yield number, wire, data[place : place + size]
        place += size


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    found = shift = 0
    while shift < 70:
        part = data[place]
        found |= (part & 127) << shift
        place, shift = place + 1, shift + 7
        if part < 128:
            return found & ((1 << 64) - 1), place
    raise ValueError("it has a number that does not end")
