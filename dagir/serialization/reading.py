"""Reading JSON from a file that is not trusted: strict, of limited depth, each error with its file and key."""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

from dagir.errors import FileError
from dagir.support import limits

T = TypeVar("T")
MAX_DEPTH = 64  # of structures: far above what a model needs, far below Python's recursion limit
_REQUIRED: object = object()
_HALF = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")  # of a surrogate pair, as an escape or raw
_KINDS = {bool: "true or false", int: "an int", str: "a string", list: "a list", dict: "an object"}


class Place:
    """A place in a file, such as "nodes[3].fields.axis"."""

    __slots__ = ("parent", "step")

    def __init__(self, step: str | int, parent: Place | None = None) -> None:
        self.step, self.parent = step, parent

    def __truediv__(self, step: str | int) -> Place:
        return Place(step, self)

    def __str__(self) -> str:
        return self._text()[1] or "the file"

    def error(self, problem: str, remedy: str | None = None) -> FileError:
        """The error about what stands here."""
        file, key = self._text()
        return FileError(f"{file}: {key}: {problem}" if key else f"{file}: {problem}", remedy=remedy)

    def _text(self) -> tuple[str, str]:
        steps: list[str | int] = []
        place: Place | None = self
        while place is not None:
            steps.append(place.step)
            place = place.parent
        file = str(steps.pop())
        keys = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in reversed(steps)]
        return file, "".join(keys).lstrip(".")


class Record:
    """A JSON object that is read key by key; `done` refuses keys that were not read."""

    __slots__ = ("_left", "place")

    def __init__(self, data: Any, place: Place) -> None:
        if not isinstance(data, dict):
            raise place.error(f"must be an object, got {shown(data)}")
        self._left, self.place = dict(data), place

    def take(self, key: str, kind: type[T], default: Any = _REQUIRED) -> T:
        """The value of a key, which must be of this kind. Raises FileError."""
        if key not in self._left:
            if default is _REQUIRED:
                raise self.place.error(f"has no {key!r}")
            return default  # type: ignore[no-any-return]
        return expect(self._left.pop(key), kind, self.place / key)

    def has(self, key: str) -> bool:
        """Whether a key is there and was not read yet."""
        return key in self._left

    def raw(self, key: str) -> object:
        """The value of a key without a check, None if there is none; the caller checks it."""
        return self._left.pop(key, None)

    def done(self) -> None:
        """Raise FileError if a key is left."""
        for key in self._left:
            raise self.place.error(f"has the unknown field {shown(key)}")


def expect(data: object, kind: type[T], place: Place) -> T:
    """`data`, if it is of this JSON kind. Raises FileError. An int is a 64-bit one, and never a bool."""
    if type(data) is not kind:
        raise place.error(f"must be {_KINDS[kind]}, got {shown(data)}")
    if isinstance(data, int) and not -(2**63) <= data < 2**63:
        raise place.error("is an int of more than 64 bits")
    return data


def index(data: object, length: int, what: str, place: Place) -> int:
    """`data`, if it is an index below `length`. Raises FileError."""
    found = expect(data, int, place)
    if not 0 <= found < length:
        raise place.error(f"refers to {what} {found}, which is missing or comes later")
    return found


def shown(data: object) -> str:
    """Data as text, short."""
    text = repr(data)
    return text if len(text) <= 60 else text[:57] + "..."


def parse_json(text: str | bytes, place: Place) -> object:
    """Read standard JSON: no duplicate keys, no NaN. Raises FileError."""

    def pairs(found: list[tuple[str, object]]) -> dict[str, Any]:
        result = dict(found)
        if len(result) != len(found):
            seen: set[str] = set()
            twice = next(key for key, _ in found if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise place.error(f"the key {shown(twice)} stands twice in one object")
        return result

    def constant(name: str) -> object:
        raise place.error(f"{name} is no JSON")

    limits.spend("json bytes", len(text), place)
    try:
        if isinstance(text, bytes):
            text = text.decode(json.detect_encoding(text))
        data = json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
        if _HALF.search(text):
            refuse_halves(data, place)
        return data
    except RecursionError:
        raise place.error("the JSON is nested too deep") from None
    except ValueError as error:
        raise place.error(f"is no valid JSON: {str(error)[:80]}") from None


def refuse_halves(data: object, place: Place) -> None:
    """Raise FileError for an unpaired surrogate: it is not text, and cannot be printed or written."""
    pending = [data]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            pending.extend((*part, *part.values()))
        elif isinstance(part, list):
            pending.extend(part)
        elif isinstance(part, str) and not part.isascii():
            try:
                part.encode()
            except UnicodeEncodeError:
                raise place.error(f"holds the text {shown(part)}, which is no Unicode") from None
