"""Where no node is named: the part of the network that a wrong output lies behind, after the last right values.

A file of another exporter shows few values of the model. Where the nearest of them before a wrong output are right, the
fault lies between these and the output, in a layer that the file shows no value of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dagir.equivalence.bisection import Search
from dagir.equivalence.body_search import search_in
from dagir.equivalence.oracle import Oracle
from dagir.ir.graph import Node
from dagir.ir.types import Array
from dagir.runtime.backend import Executable

_FEW = 6


@dataclass(frozen=True, repr=False)
class Enclosure:
    """Between which layers the fault lies. right: the last ones that are right; layers: those after them, in order."""

    backend: str
    right: tuple[str, ...]
    layers: tuple[str, ...]
    output: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "backend": self.backend,
            "right": list(self.right),
            "layers": list(self.layers),
            "output": self.output,
        }

    def __repr__(self) -> str:
        return f"<Enclosure: {self}>"

    def __str__(self) -> str:
        right = f"{_listed(self.right)}, which {'is' if len(self.right) == 1 else 'are'} right"
        return (
            f"{self.backend}: no node is named, but the fault lies between {right}, "
            f"and the output {self.output!r}: in {_listed(self.layers)}"
        )


def _listed(names: Sequence[str]) -> str:
    if len(names) > _FEW:
        return f"the {len(names)} layers from {names[0]!r} to {names[-1]!r}"
    return ", ".join(map(repr, names))


def enclose(
    backend: str, exe: Executable, oracle: Oracle, arrays: Sequence[Array], place: int, output: str, seed: int
) -> Enclosure | None:
    """The part before a wrong output that no point shows; None where nothing before it is known, or it is no part.

    place, output: of the output among those of the graph, and its name.
    """
    node = oracle.points.graph.outputs[place].node
    search = search_in(exe, oracle, arrays, seed)
    if node is None:
        return None
    group = search.hidden_before(node)
    near = search.points_before(group)
    if not near or search.wrong_among(near):
        return None
    return Enclosure(backend, _layers(near, search), _layers(group, search), output)


def _layers(nodes: Iterable[Node], search: Search) -> tuple[str, ...]:
    """The layers of nodes, in the order of the graph; of a node without one the name of its value."""
    ordered = sorted(nodes, key=lambda each: each.serial)
    return tuple(dict.fromkeys(_layer(node, search) for node in ordered))


def _layer(node: Node, search: Search) -> str:
    return node.scope.path if node.scope is not None else search.names.get(node, node.outputs[0].name)


__all__ = ["Enclosure", "enclose"]
