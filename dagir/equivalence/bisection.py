"""Bisection: find the first node whose output exceeds its budget, in O(log n) runs of the tested executable.

The search works like `git bisect`, on a graph, and in more than two parts. The suspects are the nodes that a wrong
value depends on. Each run observes some suspects that are far apart. If a value is wrong, the suspects are now the
nodes that it depends on; nodes that a right value depends on are no longer suspects. Few values are observed in one
run, since a kernel whose result is observed cannot be fused with the next one, so that observing changes what is run. A
fault may also lie before a value that is right (a ReLU cuts it off). So the nearest nodes before the one that was found
are checked at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagir.equivalence.comparison import Finding, compare
from dagir.equivalence.oracle import Expected, Oracle
from dagir.ir.diagnostics import op_text
from dagir.ir.graph import Node, Value
from dagir.ir.traversal import ancestors, makers, reached
from dagir.ir.types import Array
from dagir.runtime.backend import Executable

_AT_ONCE = 7  # points that are observed in one run: a kernel in a hundred is kept from being fused in a large network


def _apart(nodes: Sequence[Node], count: int) -> list[Node]:
    """Some of these nodes, at even distances, the last one too only if there are few."""
    if len(nodes) <= count:
        return list(nodes)
    return [nodes[(place + 1) * len(nodes) // (count + 1)] for place in range(count)]


@dataclass(frozen=True)
class Run:
    """One run of the body of a branch or loop. point: of that node; field: which body. iteration: from 0, of a loop."""

    point: str
    field: str
    iteration: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {"value": self.point, "body": self.field, "iteration": self.iteration}


@dataclass(frozen=True, repr=False)
class Divergence:
    """The first node that is wrong. node: its name in the target; point, layer, op, source: as in the model.

    also: other layers that the target computes in the same node, such as a folded normalization. runs: how often the
    target was run in the search. inside: the branches and iterations that the node is in, from the outermost. scale:
    the largest magnitude of the right answer.
    """

    backend: str
    node: str
    layer: str
    op: str
    point: str
    max_error: float
    used: float
    note: str = ""
    source: str = ""
    also: tuple[str, ...] = ()
    runs: int = 0
    inside: tuple[Run, ...] = ()
    scale: float = 0.0

    @property
    def path(self) -> str:
        """The point, after the bodies that it is in: "loop_1/body/dense_3"."""
        return "/".join([*(f"{run.point}/{run.field}" for run in self.inside), self.point])

    @property
    def where(self) -> str:
        """The path, and the iterations; an empty string for a node that is in no body."""
        if not self.inside:
            return ""
        counted = [f"iteration {run.iteration} of {run.point}" for run in self.inside if run.iteration is not None]
        return self.path + (f" ({', '.join(counted)})" if counted else "")

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON. The keys `node` and `layer` are stable."""
        return {
            "node": self.node,
            "layer": self.layer,
            "op": self.op,
            "value": self.point,
            "path": self.path,
            "inside": [run.to_dict() for run in self.inside],
            "backend": self.backend,
            "also": list(self.also),
            "source": self.source,
            "note": self.note,
            "runs": self.runs,
        }

    def __repr__(self) -> str:
        return f"<Divergence: {self}>"

    def __str__(self) -> str:
        where = f"layer {self.layer!r}, " if self.layer else ""
        more = f" (with {', '.join(self.also)})" if self.also else ""
        inside = f", in {self.where}" if self.inside else ""
        source = f", at {self.source}" if self.source else ""
        return f"{self.backend}: the first node that diverges is {self.node!r}: {where}{self.op}{more}{inside}{source}"


class Search:
    """One search in one executable, with one set of inputs.

    around: the branches and iterations that it is in. outermost: the executable that the first search is in.
    """

    def __init__(
        self, exe: Executable, oracle: Oracle, arrays: Sequence[Array], inside: Mapping[str, Expected]
    ) -> None:
        self.exe, self.oracle, self.arrays, self.inside = exe, oracle, arrays, inside
        self.titles = {n: title for n, title in exe.points().items() if n in inside and n in oracle.points.values}
        self.values = oracle.points.values
        self.outputs = oracle.points.graph.outputs
        self.names: dict[Node, str] = {}  # of the outputs of a node, the one that is wrong, else the first
        self._outputs: dict[Node, list[str]] = {}
        for name in self.titles:
            self.names.setdefault(self.node(name), name)
            self._outputs.setdefault(self.node(name), []).append(name)
        self.runs = 0
        self.around: tuple[Run, ...] = ()
        self.outermost = exe
        self.findings: dict[str, Finding] = {}

    def first(self, outputs: Sequence[int]) -> str | None:
        """The first point that diverges among those that these outputs depend on; None if no point does."""
        for place in outputs:
            node = self.outputs[place].node
            if node is None:
                continue
            suspects = self._watchable(node)
            found = self._narrow(suspects)
            while found is not None and (earlier := self._wrong_before(found)) is not None:
                found = self._narrow(self._watchable(self.node(earlier))) or earlier
            if found is not None:
                return found
        return None

    def among(self, nodes: Sequence[Node]) -> str | None:
        """The first point that diverges among those of some nodes; None if no point does."""
        return self._narrow(sorted((node for node in nodes if node in self.names), key=lambda node: node.serial))

    def _narrow(self, suspects: list[Node]) -> str | None:
        """The earliest wrong point among the suspects; these are in graph order."""
        wrong: str | None = None
        while suspects:
            chosen = _apart(suspects, _AT_ONCE)
            self._is_wrong([self.names[node] for node in chosen])
            bad = next((node for node in chosen if self._seen_wrong(node)), None)
            if bad is not None:
                wrong = self.names[bad]
                before = {node for node in ancestors(bad) if node is not bad}
                suspects = [suspect for suspect in suspects if suspect in before]
            right = [node for node in chosen if not self._seen_wrong(node)]
            cleared = set(reached(right, makers))
            suspects = [suspect for suspect in suspects if suspect not in cleared]
        return wrong

    def _seen_wrong(self, node: Node) -> bool:
        return any(name in self.findings and not self.findings[name].ok for name in self.outputs_of(node))

    def _wrong_before(self, name: str) -> str | None:
        """A wrong point among the nearest observable points before this one; None if all of them are right."""
        return self.wrong_among(self.neighbours(name))

    def wrong_among(self, nodes: Sequence[Node]) -> str | None:
        """A wrong point of some nodes; None if all of them are right."""
        unknown = [self.names[node] for node in nodes if self.names[node] not in self.findings]
        if unknown:
            self._is_wrong(unknown)
        return next((self.names[node] for node in nodes if not self.findings[self.names[node]].ok), None)

    def neighbours(self, name: str) -> list[Node]:
        """The nodes of the nearest observable points before this one."""
        return self.points_before(self.between(name))

    def points_before(self, nodes: Sequence[Node]) -> list[Node]:
        """The nodes of the observable points that some nodes read."""
        found: dict[Node, None] = {}
        for node in nodes:
            for value in node.inputs:
                if value is not None and value.node in self.names and value.node is not None:
                    found[value.node] = None
        return list(found)

    def between(self, name: str) -> list[Node]:
        """The node of a point, and the nodes before it whose values cannot be observed, up to the nearest points."""
        return self.hidden_before(self.node(name))

    def hidden_before(self, node: Node) -> list[Node]:
        """A node, and those before it whose values cannot be observed, up to the nearest points."""
        return list(reached([node], lambda each: [maker for maker in makers(each) if maker not in self.names]))

    def _watchable(self, node: Node) -> list[Node]:
        return sorted((each for each in ancestors(node) if each in self.names), key=lambda each: each.serial)

    def node(self, name: str) -> Node:
        """The node that makes a point."""
        node = self.values[name].node
        assert node is not None
        return node

    def outputs_of(self, node: Node) -> list[str]:
        """The points among the outputs of a node."""
        return self._outputs[node]

    def _is_wrong(self, names: Sequence[str]) -> bool:
        """Whether one of these points is wrong, or another output of its node."""
        self.runs += 1
        names = [each for name in names for each in self.outputs_of(self.node(name))]
        for name, array in zip(names, self.exe.observe(self.arrays, names), strict=True):
            self.findings[name] = judge(array, self.inside[name], self.values[name])
        wrong = [name for name in names if not self.findings[name].ok]
        self.names.update({self.node(name): name for name in reversed(wrong)})
        return bool(wrong)

    def _computing(self, node: Node) -> Node:
        """The node that computed what a node only moves, if no point is between them."""
        while node.op.moves_only:
            before = {value.node for value in node.inputs if value is not None and value.dtype.is_float}
            maker = before.pop() if len(before) == 1 else None
            if maker is None or maker in self.names:
                break
            node = maker
        return node

    def describe(self, backend: str, name: str) -> Divergence:
        """The Divergence for a point that was found."""
        node, finding = self._computing(self.node(name)), self.findings[name]
        group = self.between(name)
        layers = [part.scope.path for part in group if part.scope is not None]
        layer = node.scope.path if node.scope is not None else ""
        return Divergence(
            backend,
            self.titles[name],
            layer,
            op_text(node.op),
            name,
            finding.max_error,
            finding.used,
            finding.note,
            node.location.short if node.location is not None else "",
            tuple(dict.fromkeys(each for each in layers if each != layer)),
            self.runs,
            self.around,
            finding.scale,
        )


def judge(array: Array, expected: Expected, value: Value) -> Finding:
    """Compare a point's array with the oracle's; the target may compute it in another float dtype."""
    if value.dtype.is_float and array.dtype != value.dtype.numpy and array.dtype.kind == "f":
        array = array.astype(value.dtype.numpy)
    return compare(array, expected, value.type)


def bisect(
    name: str,
    exe: Executable,
    oracle: Oracle,
    arrays: Sequence[Array],
    inside: Mapping[str, Expected],
    outputs: Sequence[int],
) -> tuple[Divergence, Search] | None:
    """The first divergence before these outputs, and the search that found it; None if no observable point is wrong."""
    search = Search(exe, oracle, arrays, inside)
    found = search.first(outputs)
    return None if found is None else (search.describe(name, found), search)
