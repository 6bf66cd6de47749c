"""The first node of an .onnx file that computes something else than its partner in another one, in bodies too.

Tensors are partners by their names; where names differ, or say nothing, by what they are on the same inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from onnx import NodeProto

from dagir.equivalence.bisection import Divergence, Run
from dagir.errors import DagirError
from dagir.ir.types import Array
from dagir_onnx.file_bodies import bodies_of, body_runs, body_side, captured, is_result
from dagir_onnx.file_side import Side, disturbed, judge
from dagir_onnx.value_matching import is_near, nearest, within_limit


@dataclass(frozen=True)
class Pair:
    """A tensor of the second file and its partner in the first: the second's, transposed by `axes`, is the first's."""

    second: str
    first: str
    axes: tuple[int, ...] | None = None


@dataclass(frozen=True)
class FileSearch:
    """A search in two files, or in two bodies of them, on the same inputs.

    feeds, others: the inputs of the first and of the second, which may have other names. ends: their outputs.
    """

    left: Side
    right: Side
    feeds: Mapping[str, Array]
    others: Mapping[str, Array]
    samples: int
    rng: np.random.Generator
    ends: tuple[Pair, ...] = ()

    def first(self) -> Divergence | None:
        """The first node in the order of the second file. None where no tensor that has a partner differs."""
        pairs = self.pairs()
        if not pairs:
            return None
        expected = disturbed(self.left, self.feeds, [pair.first for pair in pairs], self.samples, self.rng)
        found = self.right.run(self.others, [pair.second for pair in pairs])
        for pair, array in zip(pairs, found, strict=True):
            finding = judge(array if pair.axes is None else array.transpose(pair.axes), expected[pair.first])
            if not finding.ok:
                op, layer = self.right.makers[pair.second].op_type, self.right.layer(pair.second)
                name, title = self.right.path.name, self.right.title(pair.second)
                error, used, note = finding.max_error, finding.used, finding.note
                whole = Divergence(name, title, layer, op, pair.second, error, used, note)
                return self._inside(pair, pairs) or whole
        return None

    def pairs(self) -> list[Pair]:
        """The tensors of the second file that have a partner, in its order."""
        left, right = self._arrays(self.left, self.feeds), self._arrays(self.right, self.others)
        by_name = [name for name in right if name in left and left[name].shape == right[name].shape]
        sure = {name for name in by_name if is_near(left[name], right[name])}
        pairs = {name: Pair(name, name) for name in by_name}
        one, two = ({name: array for name, array in each.items() if name not in sure} for each in (left, right))
        if within_limit([array.shape for each in (one, two) for array in each.values()]):
            for name, point in nearest(one, two, {name: name for name in two}).items():
                pairs[point.tensor] = Pair(point.tensor, name, point.axes)
        for end in self.ends:
            if end.first in left:
                pairs.setdefault(end.second, end)
        return [pairs[name] for name in right if name in pairs]

    def _arrays(self, side: Side, feeds: Mapping[str, Array]) -> dict[str, Array]:
        names = [name for name in side.makers if not is_result(name)]
        return dict(zip(names, side.run(feeds, names), strict=True))

    def _inside(self, pair: Pair, pairs: Sequence[Pair]) -> Divergence | None:
        """The node in a body of the two that make a pair; None where they have none, or each run of it is right."""
        first, second = self.left.makers[pair.first], self.right.makers[pair.second]
        if first.op_type != second.op_type or bodies_of(first).keys() != bodies_of(second).keys():
            return None
        try:
            return Bodies(self, (first, second), pairs).first() if bodies_of(second) else None
        except (DagirError, ValueError, LookupError, TypeError):  # onnxruntime may not run a body by itself
            return None


class Bodies:
    """The bodies of two nodes, run by run, both on what the first one gives them."""

    def __init__(self, search: FileSearch, nodes: tuple[NodeProto, NodeProto], pairs: Sequence[Pair]) -> None:
        self.search, self.nodes = search, nodes
        self._outside = self._captured(pairs)
        self._sides: dict[str, tuple[Side, Side]] = {}

    def first(self) -> Divergence | None:
        """The first node, in the first run that is wrong."""
        search, (node, second) = self.search, self.nodes
        names = [name for name in node.input if name]
        known = dict(zip(names, self._values(search.left, search.feeds, names), strict=True))
        given = [known.get(name) for name in node.input]
        for field, number, arrays in body_runs(node, given, self._run):
            inner = self._search(field, arrays)
            if self._is_right(inner):
                continue
            found, title = inner.first(), second.name or f"{second.op_type} of {second.output[0]}"
            run = Run(title, field, number)
            return None if found is None else replace(found, inside=(run, *found.inside))
        return None

    def _is_right(self, inner: FileSearch) -> bool:
        """Whether the results of a run are alike; the budget is estimated only where they are not the same."""
        outputs = inner.left.outputs
        answers, others = inner.left.run(inner.feeds, outputs), inner.right.run(inner.others, outputs)
        if all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(answers, others, strict=True)):
            return True
        expected = disturbed(inner.left, inner.feeds, outputs, inner.samples, inner.rng)
        return all(judge(array, expected[name]).ok for name, array in zip(outputs, others, strict=True))

    def _run(self, field: str, arrays: Sequence[Array]) -> list[Array]:
        inner = self._search(field, arrays)
        return inner.left.run(inner.feeds, inner.left.outputs)

    def _search(self, field: str, arrays: Sequence[Array]) -> FileSearch:
        search, bodies = self.search, [bodies_of(node)[field] for node in self.nodes]
        feeds, others = (
            {**outside, **dict(zip((info.name for info in body.input), arrays, strict=True))}
            for body, outside in zip(bodies, self._outside, strict=True)
        )
        if field not in self._sides:
            self._sides[field] = body_side(search.left, bodies[0], feeds), body_side(search.right, bodies[1], others)
        left, right = self._sides[field]
        named = ([info.name for info in body.output] for body in bodies)
        ends = tuple(Pair(second, first) for first, second in zip(*named, strict=True))
        return replace(search, left=left, right=right, feeds=feeds, others=others, ends=ends)

    def _captured(self, pairs: Sequence[Pair]) -> tuple[dict[str, Array], dict[str, Array]]:
        """What the bodies of each node read from outside: the second the same as the first, where it has a partner."""
        search = self.search
        first, second = (
            list(dict.fromkeys(name for body in bodies_of(node).values() for name in captured(side, body)))
            for node, side in zip(self.nodes, (search.left, search.right), strict=True)
        )
        partners = {pair.second: pair.first for pair in pairs if pair.axes is None}
        wanted = dict.fromkeys([*first, *(partners[name] for name in second if name in partners)])
        known = dict(zip(wanted, self._values(search.left, search.feeds, list(wanted)), strict=True))
        own = dict(zip(second, self._values(search.right, search.others, second), strict=True))
        taken = {name: known[partners[name]] if name in partners else array for name, array in own.items()}
        return {name: known[name] for name in first}, taken

    def _values(self, side: Side, feeds: Mapping[str, Array], names: Sequence[str]) -> list[Array]:
        """The arrays of tensors, inputs and weights of a file."""
        made = [name for name in names if name in side.makers]
        known = {**side.weights(names), **feeds, **dict(zip(made, side.run(feeds, made), strict=True))}
        return [known[name] for name in names]
