"""Nodes whose names are paths, "encoder/dense/MatMul", as a tree: one entry for each scope with several in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from dagir.display.contents import Contents, LayerEntry, WeightEntry

_DEEPEST = 12
"""The parts of a path that become scopes; what is below stays in the name."""


@dataclass
class _Scope:
    """A scope, with what is in it by name; several nodes of one name are numbered by their places."""

    inside: dict[object, _Scope | LayerEntry] = field(default_factory=dict)

    def scope(self, name: str) -> _Scope:
        found = self.inside.setdefault(name, _Scope())
        assert isinstance(found, _Scope)
        return found


def in_scopes(found: Contents) -> tuple[LayerEntry, ...]:
    """The layers grouped by the paths in their names, where the first of a scope stands."""
    return _grouped(found.layers, {weight.name: weight for weight in found.weights})


def _grouped(layers: Iterable[LayerEntry], weights: Mapping[str, WeightEntry]) -> tuple[LayerEntry, ...]:
    top = _Scope()
    for number, entry in enumerate(layers):
        *path, name = entry.name.strip("/").split("/", _DEEPEST)
        scope = top
        for part in path:
            scope = scope.scope(part)
        inside = _grouped(entry.layers, weights) if entry.layers else ()
        scope.inside[number] = replace(entry, name=name or entry.name, layers=inside)
    return _entries(top, weights)


def _entries(scope: _Scope, weights: Mapping[str, WeightEntry]) -> tuple[LayerEntry, ...]:
    return tuple(
        each if isinstance(each, LayerEntry) else _entry(str(name), each, weights)
        for name, each in scope.inside.items()
    )


def _entry(name: str, scope: _Scope, weights: Mapping[str, WeightEntry]) -> LayerEntry:
    """A scope as an entry; one that holds a single thing is part of the name of that."""
    inside = _entries(scope, weights)
    if len(inside) == 1:
        return replace(inside[0], name=f"{name}/{inside[0].name}")
    used = [weights[each] for each in dict.fromkeys(each for entry in inside for each in entry.weights)]
    counted = [weight for weight in used if not weight.is_setting]
    return LayerEntry(
        name,
        "",
        outputs=inside[-1].outputs,
        weights=tuple(weight.name for weight in used),
        parameters=sum(weight.parameters for weight in counted),
        bytes=sum(weight.bytes for weight in counted),
        layers=inside,
    )
