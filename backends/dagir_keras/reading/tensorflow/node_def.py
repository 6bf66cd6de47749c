"""A NodeDef of TensorFlow as plain data: of JSON, of protobuf's text, or of its bytes, which Keras wrote as text."""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.dtypes import dtype_of

_ODD = "its node_def is not what TensorFlow writes"


@dataclass(frozen=True)
class NodeDef:
    """A raw op, the names of its inputs, and its attributes as plain data: dtypes, numbers, text, lists."""

    op: str
    inputs: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)


def read_node_def(data: Any) -> NodeDef:
    """Raises Refused where the data is no NodeDef."""
    try:
        if isinstance(data, str):
            data = _parsed(data)
        inputs = data.get("input", [])
        attributes = {key: _attribute(part) for key, part in data.get("attr", {}).items()}
        return NodeDef(str(data["op"]), tuple(each for each in inputs if not each.startswith("^")), attributes)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, struct.error, RecursionError) as error:
        raise Refused(f"{_ODD}: {type(error).__name__}: {str(error)[:80]}") from None


def _parsed(text: str) -> Any:
    if text.lstrip().startswith("{"):
        return json.loads(text)
    if re.match(r"\s*(name|op)\s*:", text):
        return _of_text(text)
    return _of_bytes(text.encode("utf-8"))


def _attribute(data: Mapping[str, Any]) -> Any:
    """The one value of an AttrValue, in the names that its JSON has."""
    if not data:
        return None
    ((kind, part),) = data.items()
    if kind == "list":
        found = [(inner, each) for inner, listed in part.items() for each in listed]
        return [_single(inner, each) for inner, each in found]
    return _single(kind, part)


def _single(kind: str, part: Any) -> Any:
    if kind == "i":
        return int(part)
    if kind == "f":
        return float(part)
    if kind == "b":
        return part if isinstance(part, bool) else part == "true"
    if kind == "type":
        return _dtype(part)
    if kind == "s":
        return _text(part)
    return None  # shapes, tensors and functions: those of ops that a layer can hold have no effect


def _dtype(part: Any) -> Any:
    try:
        return dtype_of(part)
    except Refused:
        return part  # refused where an op uses it


def _text(part: Any) -> str:
    if isinstance(part, bytes):
        return part.decode("utf-8", "replace")
    try:
        return base64.b64decode(part, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return str(part)


# ---- protobuf's text

_TOKEN = re.compile(
    r'\s*(?:(?P<name>[A-Za-z_][\w.]*)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>-?[\d.][\w.+-]*)|(?P<mark>.))'
)


def _of_text(text: str) -> Any:
    tokens = [match for match in _TOKEN.finditer(text) if match.group().strip()]
    root: dict[str, Any] = {"input": [], "attr": {}}
    stack: list[dict[str, Any]] = [{}]
    key = ""
    for token in tokens:
        mark = token["mark"]
        if mark == "{":
            inner: dict[str, Any] = {}
            _put(stack[-1], key, inner)
            stack.append(inner)
        elif mark == "}":
            stack.pop()
        elif token["name"] and key and mark is None and stack[-1].get("", None) == ":":
            _put(stack[-1], key, token["name"])
            stack[-1].pop("", None)
        elif token["name"]:
            key = token["name"]
        elif mark == ":":
            stack[-1][""] = ":"
        elif token["text"] is not None:
            _put(stack[-1], key, json.loads(token["text"]))
            stack[-1].pop("", None)
        elif token["number"] is not None:
            _put(stack[-1], key, token["number"])
            stack[-1].pop("", None)
    (found,) = stack
    root["op"], root["input"] = found["op"][0], found.get("input", [])
    for entry in found.get("attr", []):
        root["attr"][entry["key"][0]] = _as_json(entry["value"][0])
    return root


def _put(into: dict[str, Any], key: str, part: Any) -> None:
    into.setdefault(key, []).append(part)


def _as_json(data: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for kind, parts in data.items():
        if kind == "list":
            found[kind] = {inner: [_raw_text(inner, each) for each in listed] for inner, listed in parts[0].items()}
        elif kind:
            found[kind] = _raw_text(kind, parts[0])
    return found


def _raw_text(kind: str, part: Any) -> Any:
    return part.encode() if kind == "s" and isinstance(part, str) else part


# ---- protobuf's bytes

_KINDS = {2: "s", 3: "i", 4: "f", 5: "b", 6: "type"}


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of each field: an int, four bytes, or bytes."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        kind = tag & 7
        if kind == 0:
            found, place = _varint(data, place)
            yield tag >> 3, found
        elif kind == 5:
            yield tag >> 3, data[place : place + 4]
            place += 4
        elif kind == 1:
            yield tag >> 3, data[place : place + 8]
            place += 8
        elif kind == 2:
            size, place = _varint(data, place)
            if place + size > len(data):
                raise ValueError("it is truncated")
            yield tag >> 3, data[place : place + size]
            place += size
        else:
            raise ValueError(f"it has a field of the wire type {kind}")


def _varint(data: bytes, place: int) -> tuple[int, int]:
    found = shift = 0
    while shift < 70:
        part = data[place]
        found |= (part & 127) << shift
        place, shift = place + 1, shift + 7
        if part < 128:
            return found, place
    raise ValueError("it has a number that does not end")


def _of_bytes(data: bytes) -> Any:
    root: dict[str, Any] = {"input": [], "attr": {}}
    for number, part in _fields(data):
        if number == 2:
            root["op"] = part.decode()
        elif number == 3:
            root["input"].append(part.decode())
        elif number == 5:
            entry = dict(_fields(part))
            root["attr"][entry[1].decode()] = _attribute_of_bytes(entry.get(2, b""))
    return root


def _attribute_of_bytes(data: bytes) -> dict[str, Any]:
    for number, part in _fields(data):
        if number == 1:
            return {"list": _list_of_bytes(part)}
        if number in _KINDS:
            return {_KINDS[number]: _scalar(number, part)}
    return {}


def _scalar(number: int, part: Any) -> Any:
    if number == 3:
        return part - (1 << 64) if part >> 63 else part
    if number == 4:
        return struct.unpack("<f", part)[0]
    return bool(part) if number == 5 else part


def _list_of_bytes(data: bytes) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for number, part in _fields(data):
        if number not in _KINDS:
            continue
        listed = found.setdefault(_KINDS[number], [])
        if number in (3, 5, 6) and isinstance(part, bytes):  # packed
            place = 0
            while place < len(part):
                each, place = _varint(part, place)
                listed.append(_scalar(number, each))
        elif number == 4:
            listed += [each for (each,) in struct.iter_unpack("<f", part)]
        else:
            listed.append(_scalar(number, part))
    return found
