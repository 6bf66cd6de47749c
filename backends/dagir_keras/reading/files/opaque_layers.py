"""Layers that cannot be taken, as opaque ones: for looking at a file, and for cutting its other parts out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dagir.errors import ArgumentError
from dagir.ir.graph import Value
from dagir.ir.nest import flatten
from dagir.ir.types import DType, TensorType
from dagir.layers.unknown import UNKNOWN, UnknownLayer, is_unknown, type_told
from dagir_keras.reading.problems import Problem, Problems

Told = Mapping[int, tuple[Sequence[Any], Any]]  # by output: the shape and the dtype
_BEHIND = "the shape of its input is not known"


def shapes_told(opaque: Any) -> dict[str, Sequence[Any]] | None:
    """The argument `opaque` as shapes by name; None where no layer may stay opaque. Raises ArgumentError."""
    if isinstance(opaque, bool):
        return {} if opaque else None
    found = dict(opaque) if isinstance(opaque, Mapping) else {"": opaque}
    for name, shape in found.items():
        whole = isinstance(name, str) and name and isinstance(shape, (list, tuple)) and all(map(_is_size, shape))
        if not whole:
            raise ArgumentError(
                f"opaque is True, or shapes by the names of layers, got {opaque!r:.80}",
                remedy="opaque={'attention': (None, 64)}",
            )
    return found


def _is_size(size: Any) -> bool:
    return size is None or (type(size) is int and size >= 0) or (isinstance(size, str) and size.isidentifier())


class OpaqueLayers:
    """Makes them for one file. shapes: of the outputs of layers by name, where the user tells them."""

    def __init__(self, problems: Problems, shapes: Mapping[str, Sequence[Any]]) -> None:
        self.problems, self.shapes = problems, shapes
        self._made: dict[str, UnknownLayer] = {}

    def taken(self, before: int) -> Problem | None:
        """The problems since `before` as the reason of an opaque layer; None where one is of a hostile file."""
        new = self.problems.found[before:]
        if not new or any(problem.hostile for problem in new):
            return None
        self.problems.forget(before)
        return new[0]

    def layer(self, path: str, kind: str, why: str) -> UnknownLayer:
        """The opaque layer at a path, the same each time."""
        if path not in self._made:
            self._made[path] = UnknownLayer(kind, why, name=path.rpartition("/")[2])
        return self._made[path]

    def outputs(self, layer: UnknownLayer, args: Any, told: Told) -> list[Value]:
        """What a call gives: of the shapes that are told, else of unknown ones."""
        values = [leaf for leaf in flatten(args) if isinstance(leaf, Value)]
        types: list[TensorType] = []
        for place in range(max([0, *told]) + 1):
            shape, dtype = told.get(place, (None, None))
            own = self.shapes.get(layer.name)
            shape = own if own is not None and place == 0 else shape
            if shape is None:
                types.append(UNKNOWN)
            else:
                types.append(
                    type_told(shape, DType.of(dtype) if dtype in set(DType) else DType.FLOAT32, values, layer.name)
                )
        layer.types = tuple(types)
        return list(layer(*values))

    def behind(self, path: str, kind: str, args: Any) -> UnknownLayer | None:
        """An opaque layer for one that is known, where nothing is known of what it reads; else None."""
        if is_unknown(leaf for leaf in flatten(args) if isinstance(leaf, Value)):
            return self.layer(path, kind, _BEHIND)
        return None
