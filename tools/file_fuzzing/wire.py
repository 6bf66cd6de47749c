"""Mutations of protocol buffers by their wire format: a field of a field, with all lengths around it right again."""

from __future__ import annotations

from random import Random
from typing import Any, TypeAlias

from file_fuzzing.mutations import NUMBERS, mutate_bytes, text

Field: TypeAlias = tuple[int, int, Any]  # number, wire type, an int or bytes


def mutate_wire(data: bytes, rng: Random) -> bytes:
    """One to four fields changed, anywhere in the message."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        data = _changed(data, rng, 0)
    return data


def _changed(data: bytes, rng: Random, depth: int) -> bytes:
    fields = _parsed(data)
    if not fields or (depth and rng.randrange(6) == 0):
        return _edited(data, fields, rng)
    at = rng.choices(range(len(fields)), [1 + len(part) if type(part) is bytes else 1 for *_, part in fields])[0]
    number, kind, part = fields[at]
    if kind == 2 and depth < 12:
        fields[at] = number, kind, _changed(part, rng, depth + 1)
    elif kind == 0:
        fields[at] = number, kind, rng.choice((part + 1, max(part - 1, 0), rng.randrange(30), rng.choice(NUMBERS)))
    else:
        fields[at] = number, kind, mutate_bytes(part, rng) if kind == 2 else rng.randbytes(len(part))
    return _joined(fields)


def _edited(data: bytes, fields: list[Field] | None, rng: Random) -> bytes:
    """A text or a number changed; of a message, fields cut out, doubled, exchanged, renumbered or put inside."""
    if not fields:
        return rng.choice((text(rng).encode("utf-8", "replace"), mutate_bytes(data, rng), b"", data * 2))
    at, other = rng.randrange(len(fields)), rng.randrange(len(fields))
    kind = rng.randrange(5)
    if kind == 0:
        del fields[at]
    elif kind == 1:
        fields.insert(other, fields[at])
    elif kind == 2:
        fields[at], fields[other] = (*fields[at][:1], *fields[other][1:]), (*fields[other][:1], *fields[at][1:])
    elif kind == 3:
        fields[at] = (rng.randrange(1, 20), *fields[at][1:])
    else:
        fields[at] = (fields[at][0], 2, data)  # the message within itself
    return _joined(fields)


def _parsed(data: bytes) -> list[Field] | None:
    """The fields; None for bytes that are no message."""
    fields: list[Field] = []
    place = 0
    try:
        while place < len(data):
            tag, place = _varint(data, place)
            kind = tag & 7
            if kind == 0:
                part, place = _varint(data, place)
                fields.append((tag >> 3, kind, part))
                continue
            if kind == 2:
                size, place = _varint(data, place)
            else:
                size = {1: 8, 5: 4}[kind]
            if place + size > len(data) or not tag >> 3:
                return None
            fields.append((tag >> 3, kind, data[place : place + size]))
            place += size
    except (IndexError, KeyError):
        return None
    return fields


def _varint(data: bytes, place: int) -> tuple[int, int]:
    found = shift = 0
    while shift < 70:
        part = data[place]
        found |= (part & 127) << shift
        place, shift = place + 1, shift + 7
        if part < 128:
            return found, place
    raise IndexError


def _joined(fields: list[Field]) -> bytes:
    out = bytearray()
    for number, kind, part in fields:
        out += _number(number << 3 | kind)
        if kind == 0:
            out += _number(part)
        else:
            out += (_number(len(part)) if kind == 2 else b"") + part
    return bytes(out)


def _number(value: int) -> bytes:
    value %= 1 << 64
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
