"""Structures of values: one, a list, a tuple or a dict, nested. A flat tuple goes in, the same structure comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Rows(Protocol[T_co]):
    """A list or tuple for a type checker, whatever its parts; text is none, although it is a sequence of text."""

    def __contains__(self, item: object, /) -> bool: ...
    def __iter__(self) -> Iterator[T_co]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> T_co: ...


def flatten(structure: object) -> list[Any]:
    """The leaves, in the order in which they were written."""
    if not isinstance(structure, (dict, list, tuple)):
        return [structure]
    found: list[Any] = []
    for part in structure.values() if isinstance(structure, dict) else structure:
        if isinstance(part, (dict, list, tuple)):
            found += flatten(part)
        else:
            found.append(part)
    return found


def flatten_sorted(structure: object) -> list[Any]:
    """The leaves as Keras orders them: dicts by their sorted keys."""
    if isinstance(structure, dict):
        return [leaf for key in sorted(structure) for leaf in flatten_sorted(structure[key])]
    if isinstance(structure, (list, tuple)):
        return [leaf for part in structure for leaf in flatten_sorted(part)]
    return [structure]


def flatten_like(structure: Any, value: Any) -> list[Any]:
    """The leaves of `value` in the order of `structure`; another library may have sorted the keys of the dicts."""
    if isinstance(structure, dict):
        return [leaf for key, part in structure.items() for leaf in flatten_like(part, value[key])]
    if isinstance(structure, (list, tuple)) and not isinstance(value, (list, tuple)):
        value = [value]  # Keras returns the entry itself instead of a list of one
    if isinstance(structure, (list, tuple)):
        return [leaf for part, inner in zip(structure, value, strict=True) for leaf in flatten_like(part, inner)]
    return [value]


def pack(structure: object, leaves: Iterable[object]) -> Any:
    """`leaves` in the structure of `structure`."""
    source = iter(leaves)
    return map_structure(lambda _: next(source), structure)


def map_structure(function: Callable[[Any], Any], structure: Any) -> Any:
    """The same structure, each leaf mapped."""
    if not isinstance(structure, (dict, list, tuple)):
        return function(structure)
    if isinstance(structure, dict):
        return {key: map_structure(function, part) for key, part in structure.items()}
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*(map_structure(function, part) for part in structure))
    return type(structure)([map_structure(function, part) for part in structure])
