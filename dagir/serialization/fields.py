"""The fields of an op as JSON, by their declared types."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import MISSING, fields
from enum import Enum
from functools import cache, lru_cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from dagir.errors import ArgumentError, FileError
from dagir.ir import dims
from dagir.ir.dims import SymbolicDim
from dagir.ir.graph import Graph, Op
from dagir.serialization.reading import Place, expect, shown

_NOT_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def field_types(op: type[Op]) -> dict[str, tuple[object, bool]]:
    """For each field of an op class: its declared type, and whether it is optional."""
    key: object = op
    return _field_types(key)


@cache
def _field_types(op: Any) -> dict[str, tuple[Any, bool]]:
    hints = get_type_hints(op, localns={"SymbolicDim": SymbolicDim, "Graph": Graph})
    return {
        field.name: (hints[field.name], field.default is not MISSING or field.default_factory is not MISSING)
        for field in fields(op)
    }


def encode_number(value: float) -> int | float | str:
    """A number for JSON; NaN and infinities as text."""
    if isinstance(value, (int, np.integer)):
        return int(value)
    return float(value) if math.isfinite(value) else str(float(value))


def decode_float(data: object, place: Place) -> int | float:
    """A number that `encode_number` wrote. Raises FileError."""
    if isinstance(data, str) and data in _NOT_FINITE:
        return _NOT_FINITE[data]
    if type(data) is float and math.isfinite(data):
        return data
    if type(data) is int:
        return expect(data, int, place)
    raise place.error(f"must be a number, got {shown(data)}")


@lru_cache(maxsize=4096)  # the texts come from files, and a process may read many of them
def _parse_dim(text: str) -> dims.Dim:
    return dims.parse(text)


def encode_dim(size: Any) -> int | str:
    """A size: an int, or its expression as text."""
    if not isinstance(size, SymbolicDim):
        return int(size)
    text = str(size)
    try:
        same = _parse_dim(text) == size
    except ArgumentError:
        same = False
    if not same:
        raise FileError(f"the size {shown(text)} is too complicated to be written")
    return text


def decode_dim(data: object, place: Place) -> dims.Dim:
    """A size that `encode_dim` wrote. Raises FileError."""
    if not isinstance(data, str):
        return expect(data, int, place)
    try:
        return _parse_dim(data)
    except ArgumentError as error:
        raise place.error(error.summary) from None


def encode(value: object, hint: object, graph: Callable[[Graph], int]) -> object:
    """A field as JSON. graph: the number of a graph. Raises TypeError where the value is not as declared."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        for choice in get_args(hint):
            try:
                return encode(value, choice, graph)
            except TypeError:
                continue
        raise TypeError(value)
    if origin is tuple and isinstance(value, (tuple, list)):
        hints = _item_hints(hint, len(value))
        if hints is None:
            raise TypeError(value)
        return [encode(item, part, graph) for item, part in zip(value, hints, strict=True)]
    if origin is Literal and value in get_args(hint):
        return value
    if isinstance(hint, type) and issubclass(hint, Enum) and isinstance(value, hint):
        return value.value
    if hint is Graph and isinstance(value, Graph):
        return graph(value)
    return _encode_scalar(value, hint)


def _encode_scalar(value: object, hint: object) -> object:
    if isinstance(value, np.generic):
        value = value.item()
    if hint is NoneType and value is None:
        return None
    if hint is SymbolicDim and isinstance(value, SymbolicDim):
        return encode_dim(value)
    if hint is float and isinstance(value, (int, float)):
        return encode_number(value)
    if hint in (bool, int, str) and isinstance(value, hint):
        return value if type(value) is hint else hint(value)
    raise TypeError(value)


def _item_hints(hint: object, length: int) -> tuple[object, ...] | None:
    arguments = get_args(hint)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return (arguments[0],) * length
    return arguments if len(arguments) == length else None


def decode(data: object, hint: object, place: Place, graph: Callable[[int, Place], Graph]) -> Any:
    """A field that `encode` wrote. graph: the graph of a number. Raises FileError where the type is not as declared."""
    origin = get_origin(hint)
    if hint is Graph:
        return graph(expect(data, int, place), place)
    if origin in (Union, UnionType):
        for choice in get_args(hint):
            try:
                return decode(data, choice, place, graph)
            except FileError:
                continue
        raise place.error(f"must be {_words(hint)}, got {shown(data)}")
    if origin is tuple:
        items = expect(data, list, place)
        hints = _item_hints(hint, len(items))
        if hints is None:
            raise place.error(f"must be {_words(hint)}, got {shown(data)}")
        parts = enumerate(zip(items, hints, strict=True))
        return tuple([decode(item, part, place / i, graph) for i, (item, part) in parts])
    if origin is Literal:
        return _one_of(data, {choice: choice for choice in get_args(hint)}, place)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _one_of(data, {member.value: member for member in hint}, place)
    return _decode_scalar(data, hint, place)


def _one_of(data: object, choices: dict[object, object], place: Place) -> object:
    if isinstance(data, (list, dict)) or data not in choices or isinstance(data, bool):
        raise place.error(f"must be one of {', '.join(map(str, choices))}, got {shown(data)}")
    return choices[data]


def _decode_scalar(data: Any, hint: Any, place: Place) -> Any:
    if hint is NoneType:
        if data is not None:
            raise place.error(f"must be null, got {shown(data)}")
        return None
    if hint is SymbolicDim:
        return decode_dim(expect(data, str, place), place)
    return decode_float(data, place) if hint is float else expect(data, hint, place)


def _words(hint: Any) -> str:
    if hint is NoneType:
        return "null"
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(map(_words, get_args(hint)))
    if get_origin(hint) is tuple:
        return "a list of " + ", ".join(_words(part) for part in get_args(hint) if part is not Ellipsis)
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    return {SymbolicDim: "a size", float: "a number"}.get(hint, getattr(hint, "__name__", str(hint)))
