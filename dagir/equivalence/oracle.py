"""The oracle: the answers of the float64 interpreter on the graph as written, and their error budgets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np

from dagir.equivalence.budget import Spread
from dagir.equivalence.deviations import Deviations, is_straight
from dagir.equivalence.noise import Noise
from dagir.equivalence.progress import Meter
from dagir.ir.dims import evaluate
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.types import Array, DType
from dagir.ir.weight_snapshot import Snapshot
from dagir.modeling.model import Model
from dagir.ops.call import parameters_of
from dagir.runtime.backend import Apply, backend, graph_of
from dagir.runtime.probes import Points, points_of
from dagir.support.backend_names import NUMPY

Visit: TypeAlias = Callable[[Node, Sequence[Array | None], Apply], Sequence[Array]]

_LARGE = 2_000_000
"""Weights from which on the tensors of a network are so large that fewer samples make an estimate precise."""

_HEAVY = 50_000_000
"""Weights from which on cases are computed one after another: most of the time goes into products, for which BLAS has
threads, and what two cases hold at once is too much memory."""

_MOST_CARRIED = 1 << 24
"""Elements of the deviations of a value that are in memory at a time."""


@dataclass(frozen=True)
class Expected:
    """The right answer for one value. budget: of each element; None for dtypes other than floats.

    variants: for dtypes other than floats, other answers that rounding can give. whole: the budget of the root mean
    square of all errors; None if only the elements are judged. others: the answers of other shapes that rounding can
    give, where the data decide a size.
    """

    array: Array
    budget: Array | None
    variants: tuple[Array, ...] = ()
    whole: float | None = None
    others: tuple[Expected, ...] = ()


class Oracle:
    """The right answers of a model, and their error budgets.

    samples: of a first estimate of a budget. precise: of one that a verdict may hang on; some: of one between the two,
    which tells most often. is_heavy: whether cases shall
    be computed one after another. meter: counts the evaluations. points: those of the model, where they have names of
    their own.
    """

    def __init__(
        self, model: Model | Graph, samples: int, meter: Meter | None = None, points: Points | None = None
    ) -> None:
        self.meter = meter or Meter()
        self.graph = graph_of(model)
        self.points = points or points_of(model)
        self.samples = samples
        weights = sum(prod(parameter.shape) for parameter in self.graph.parameters)
        self.precise = max(8 * samples, 24 if weights > _LARGE else 48)
        self.some = self.precise // 3
        self.is_heavy = weights > _HEAVY
        self.weights = Snapshot(parameters_of(self.graph))
        self._exe: Any = backend(NUMPY).lower(model, precision="float64")
        self._flat: Any = backend(NUMPY).lower(self.points.graph, precision="float64")
        self._narrow: Any = backend(NUMPY).lower(self.points.graph)
        self._is_straight = is_straight(self.points.graph)

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs, in order."""
        return [name for name, _ in self._exe.signature.inputs]

    def arrange(self, feeds: object) -> list[Array]:
        """The arrays of a feed, in the order of the inputs. Raises FeedError."""
        arrays: list[Array] = self._exe.arrange((feeds,))
        self._exe.bind(arrays)
        return arrays

    def bind(self, arrays: Sequence[Array]) -> dict[str, int]:
        """The value of each named size. Raises FeedError."""
        found: dict[str, int] = self._exe.bind(arrays)
        return found

    @np.errstate(all="ignore")  # special values and overflow are judged, so no warning is needed
    def __call__(
        self, arrays: Sequence[Array], rng: np.random.Generator, overflow: bool = False, count: int | None = None
    ) -> list[Expected]:
        """Evaluate without noise, and `count` times with noise, by default `samples` times.

        overflow: do not judge elements where the interpreter, run in the model's own dtypes, overflows. Raises what the
        interpreter raises.
        """
        if count is not None:
            self.meter.expect(1 + count)
        count = count or self.samples
        outputs = self.points.graph.outputs
        answers, found = self._spreads(arrays, rng, outputs, count)
        spreads = [
            found.get(value) or Spread(answer, value.dtype) for value, answer in zip(outputs, answers, strict=True)
        ]
        if overflow:
            reach = _Reach()
            narrow = [self._narrow.trace(arrays, reach)]
            if reach.is_left:
                narrow.append(self._narrow.trace(arrays, _without_subnormals))
            for results in narrow:
                for spread, found in zip(spreads, results, strict=True):
                    spread.forgive(found, reach.is_left)
        return [_expected(spread) for spread in spreads]

    def trace(self, arrays: Sequence[Array], visit: Visit) -> None:
        """Evaluate the points' graph in float64, without noise: visit(node, operands, apply) -> results."""
        self._flat.trace(arrays, visit)

    def runs_of_bodies(self, name: str, arrays: Sequence[Array]) -> Iterator[tuple[str, list[Array]]]:
        """Each run of a body of the branch or loop that makes a point: which body, and its inputs in float64."""
        yield from self._flat.runs_of_bodies(self.points.values[name], arrays)

    @np.errstate(all="ignore")
    def inside(
        self, arrays: Sequence[Array], rng: np.random.Generator, names: Collection[str] | None = None
    ) -> dict[str, Expected]:
        """The answers and budgets of the model's points: of all of them, or of those in `names`."""
        wanted = {value: name for name, value in self.points.values.items() if names is None or name in names}
        count = self.precise // 2
        self.meter.expect(1 + count)
        _, spreads = self._spreads(arrays, rng, list(wanted), count)
        return {wanted[value]: _expected(spread) for value, spread in spreads.items()}

    def _at_once(self, arrays: Sequence[Array]) -> int:
        """How many samples are carried in one evaluation: as many as fit into little memory, at least 2."""
        sizes = self.bind(arrays)
        shapes = (value.type.shape for node in self.points.graph.nodes for value in node.outputs)
        largest = max((prod(evaluate(size, sizes) for size in shape) for shape in shapes), default=1)
        return max(2, min(_MOST_CARRIED // max(largest, 1), self.precise))

    def _spreads(
        self, arrays: Sequence[Array], rng: np.random.Generator, values: Sequence[Value], count: int
    ) -> tuple[list[Array], dict[Value, Spread]]:
        """The outputs without noise, and the spreads of values of the graph over `count` evaluations with noise."""
        noise = Noise(rng, _holds_subnormals(arrays))
        spreads: dict[Value, Spread] = {}
        answers: list[Array] = []
        if self._is_straight:
            at_once = self._at_once(arrays)
            self.meter.tick()
            for start in range(0, count, at_once):
                samples = min(at_once, count - start)
                carried = Deviations(self.points.graph, noise, samples, values, spreads)
                answers = self._flat.trace(arrays, carried)
                for _ in range(samples):
                    self.meter.tick()
            return answers, spreads
        watched = set(values)

        def learn(node: Node, operands: Sequence[Array | None], apply: Apply) -> tuple[Array, ...]:
            results = noise.learn(node, operands, apply)
            spreads.update((v, Spread(r, v.dtype)) for v, r in zip(node.outputs, results, strict=True) if v in watched)
            return results

        def disturb(node: Node, operands: Sequence[Array | None], apply: Apply) -> tuple[Array, ...]:
            results = noise.disturb(node, operands, apply)
            for value, result in zip(node.outputs, results, strict=True):
                if value in watched:
                    spreads[value].add(result)
            return results

        answers = self._flat.trace(arrays, learn)
        self.meter.tick()
        for _ in range(count):
            self._flat.trace(arrays, disturb)
            self.meter.tick()
        return answers, spreads


class _Reach:
    """Evaluates in the model's own dtypes.

    is_left: whether a node computed infinity or NaN from finite operands, or 0 in place of a number that is too small.
    """

    def __init__(self) -> None:
        self.is_left = False

    def __call__(self, node: Node, operands: Sequence[Array | None], apply: Apply) -> tuple[Array, ...]:
        results = apply(operands, None)
        self.is_left = (
            self.is_left
            or (not _all_finite(results) and _all_finite(operands))
            or _vanishes(node, results, apply, operands)
        )
        return results


def _without_subnormals(node: Node, operands: Sequence[Array | None], apply: Apply) -> tuple[Array, ...]:
    """Evaluates in the model's own dtypes, and 0 in place of subnormal numbers, as some kernels compute."""
    pairs = zip(node.outputs, apply(operands, None), strict=True)
    return tuple([np.where(np.abs(r) < v.dtype.tiny, r.dtype.type(0), r) if v.dtype.is_float else r for v, r in pairs])


def _vanishes(node: Node, results: Sequence[Array], apply: Apply, operands: Sequence[Array | None]) -> bool:
    """Whether an element is 0 that is a number below the smallest one in float64: so a softmax has zeros."""
    zeros = [value.dtype.is_float and bool((r == 0).any()) for value, r in zip(node.outputs, results, strict=True)]
    if node.op.graph_fields or not any(zeros):
        return False
    wide = apply([a if a is None or a.dtype.kind in "iubT" else a.astype(np.float64) for a in operands], DType.FLOAT64)
    return any(
        r.shape == w.shape and bool(((r == 0) & (w != 0) & (np.abs(w) < value.dtype.tiny)).any())
        for value, r, w, has in zip(node.outputs, results, wide, zeros, strict=True)
        if has
    )


def _all_finite(arrays: Sequence[Array | None]) -> bool:
    return all(np.isfinite(a.astype(np.float64)).all() for a in arrays if a is not None and a.dtype.kind not in "iubT")


def _holds_subnormals(arrays: Sequence[Array]) -> bool:
    floats = [array for array in arrays if array.dtype.kind == "f" and array.dtype.itemsize > 1]  # not float8_e5m2
    return any(bool(((array != 0) & (np.abs(array) < np.finfo(array.dtype).tiny)).any()) for array in floats)


def _expected(spread: Spread) -> Expected:
    others = tuple([_expected(other) for other in spread.others.values()])
    if not spread.dtype.is_float:
        return Expected(spread.answer, None, tuple(spread.variants), others=others)
    budget, whole = spread.allowance()
    return Expected(spread.answer, budget, (), whole, others)
