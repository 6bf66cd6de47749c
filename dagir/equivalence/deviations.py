"""One evaluation that carries, beside each value, how far some evaluations with noise deviate from it.

In place of whole evaluations with noise, only what they deviate by is computed, node by node beside the evaluation
without noise. For the ops that cost most, a first-order rule carries it (dagir.ir.first_order): float32 is enough for
that, since a deviation needs few digits, and a step that rounds nothing costs nothing. Other nodes are evaluated again
on operands with noise. Nodes that no noise reaches, such as those of weights alone that are exact, are not.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from dagir.equivalence.budget import Spread
from dagir.equivalence.noise import Noise
from dagir.equivalence.noise_blocks import WIDEST
from dagir.ir.graph import Graph, Node, Parameter, Value
from dagir.ir.traversal import last_readers
from dagir.ir.types import Array, DType
from dagir.runtime.backend import Apply
from dagir.support.threads import for_each

_UNIT = 2.0**-14
"""Deviations are stored in this unit, so that those of tiny numbers are no subnormal numbers."""
_BLOCK = 1 << 14  # elements, so that a few arrays of them stay in a cache
_COARSE = 1e-4
"""Dtypes of a larger eps deviate so far that first order is not enough."""


def is_straight(graph: Graph) -> bool:
    """Whether every evaluation of a graph runs the same nodes on arrays of the same sizes."""
    return not any(node.op.graph_fields or node.op.size_fields for node in graph.nodes)


class Deviations:
    """Called with each node in turn, in place of its rule; its results are those without noise.

    spreads: of the values in `watched`, added to as these are computed. samples: how many evaluations with noise.
    """

    def __init__(
        self, graph: Graph, noise: Noise, samples: int, watched: Collection[Value], spreads: dict[Value, Spread]
    ) -> None:
        self.spreads = spreads
        self._noise, self._samples, self._watched = noise, samples, set(watched)
        self._floats: dict[Value, Array] = {}  # (samples, *shape), in _UNIT
        self._others: dict[Value, list[Array]] = {}  # of dtypes other than floats: what the samples have
        self._last = last_readers(graph)
        self._given = frozenset(graph.inputs)

    def __call__(self, node: Node, operands: Sequence[Array | None], apply: Apply) -> tuple[Array, ...]:
        """Evaluate without noise, and carry the deviations."""
        known = self._noise.knows(node)  # from an evaluation before, of the same arrays
        results = apply(operands, DType.FLOAT64) if known else self._noise.learn(node, operands, apply)
        is_reached = not self._noise.is_exact(node) or any(self._deviates(value) for value in node.inputs)
        ways = (self._moved, self._by_rule, self._again)  # the first one that holds is taken
        if is_reached:
            any(way(node, operands, apply, results) for way in ways)
        for value, result in zip(node.outputs, results, strict=True):
            if value in self._watched:
                self._spread(value, self.spreads.setdefault(value, Spread(result, value.dtype)))
        for value in self._last.get(node, ()):
            self._floats.pop(value, None)
            self._others.pop(value, None)
        return results

    def _deviates(self, value: Value | None) -> bool:
        return value in self._floats or value in self._others

    def _spread(self, value: Value, spread: Spread) -> None:
        moved, others = self._floats.get(value), self._others.get(value)
        for number in range(self._samples):
            if moved is not None:
                spread.deviate(np.asarray(moved[number] * _UNIT))
            else:
                spread.add(spread.answer if others is None else others[number])

    def _moved(self, node: Node, operands: Sequence[Array | None], apply: Apply, results: Sequence[Array]) -> bool:
        """What only moves numbers moves deviations alike."""
        if not node.op.moves_only or self._noise.flush or any(value in self._others for value in node.inputs):
            return False
        if not all(value.dtype.is_float for value in node.outputs) or not self._noise.is_exact(node):
            return False
        for number in range(self._samples):
            moved = [
                array if value is None or array is None or not value.dtype.is_float else self._of(value, array, number)
                for value, array in zip(node.inputs, operands, strict=True)
            ]
            self._keep(node, results, number, apply(moved, DType.FLOAT32))
        return True

    def _of(self, value: Value, array: Array, number: int) -> Array:
        moved = self._floats.get(value)
        return np.zeros(array.shape, np.float32) if moved is None else moved[number]

    def _keep(self, node: Node, results: Sequence[Array], number: int, deviations: Sequence[Array]) -> None:
        for value, result, deviation in zip(node.outputs, results, deviations, strict=True):
            if value not in self._floats:
                self._floats[value] = np.empty((self._samples, *result.shape), np.float32)
            self._floats[value][number] = deviation

    def _by_rule(self, node: Node, operands: Sequence[Array | None], apply: Apply, results: Sequence[Array]) -> bool:
        """By the first-order rule of the op, if it has one that holds here."""
        rounding = node.op.how_it_rounds()
        values = [value for value in (*node.inputs, *node.outputs) if value is not None]
        if rounding.first_order is None or self._noise.flush:
            return False
        if any(not value.dtype.is_float or value.dtype.eps > _COARSE for value in values):
            return False
        given = [None if value is None else self._floats.get(value) for value in node.inputs]
        stored = [None if value in self._given else _stored(value) for value in node.inputs]
        step = _Step(node, operands, stored, given, results[0], self._noise, self._samples, apply)
        found = rounding.first_order(node.op, step)
        if found is None:
            return False
        (output,), shape = node.outputs, (self._samples, *results[0].shape)
        if found.shape != shape:
            found = np.broadcast_to(found, shape)
        found = np.require(found, np.float32, ("C", "W"))
        if not self._noise.is_exact(node):
            eps = output.dtype.eps / _UNIT
            relative = eps * (self._noise.units(node) + rounding.within)
            self._noise.blocks.blur(found, results[0], relative)
            if rounding.absolute is not None and operands[0] is not None:
                self._noise.blocks.blur(found, np.broadcast_to(rounding.absolute(operands[0]), shape[1:]), eps)
        self._floats[output] = _finite(found)
        return True

    def _again(self, node: Node, operands: Sequence[Array | None], apply: Apply, results: Sequence[Array]) -> bool:
        """By evaluating the node again, on operands that deviate."""
        for number in range(self._samples):
            pairs = zip(node.inputs, operands, strict=True)
            found = self._noise.disturb(node, [self._sample(v, array, number) for v, array in pairs], apply)
            self._store(node, results, number, found)
        return True

    def _sample(self, value: Value | None, array: Array | None, number: int) -> Array | None:
        if value is None or array is None:
            return array
        if value in self._others:
            return self._others[value][number]
        moved = self._floats.get(value)
        return array if moved is None else array + moved[number] * _UNIT

    def _store(self, node: Node, results: Sequence[Array], number: int, found: Sequence[Array]) -> None:
        for value, result, sample in zip(node.outputs, results, found, strict=True):
            if value.dtype.is_float:
                if value not in self._floats:
                    self._floats[value] = np.empty((self._samples, *result.shape), np.float32)
                self._floats[value][number] = _finite((sample - result) / _UNIT)
            elif value in self._others or not np.array_equal(sample, result):
                self._others.setdefault(value, [result] * self._samples)[number] = sample


class _Step:
    """One node, as first-order rules see it: see dagir.ir.first_order.Carried."""

    unit = _UNIT

    def __init__(
        self,
        node: Node,
        operands: Sequence[Array | None],
        stored: Sequence[Array | None],
        deviations: Sequence[Array | None],
        result: Array,
        noise: Noise,
        samples: int,
        apply: Apply,
    ) -> None:
        self.operands, self.deviations, self.result = operands, deviations, result
        self._node, self._noise, self._samples, self._apply = node, noise, samples, apply
        self._stored = stored
        self._units = 0.0 if noise.is_exact(node) else noise.units(node)

    def disturbed(self, place: int, relative: Array | None = None) -> Array | None:
        given, array = self.deviations[place], self.operands[place]
        assert array is not None
        if given is None and not self._units:
            return None
        whole = np.zeros((self._samples, *array.shape), np.float32) if given is None else given.copy()
        if self._units:
            size, along = self._size(place), None
            if relative is not None and _is_of_last_axis(relative, array):
                along = (relative / size).reshape(len(relative), -1)
            elif relative is not None:
                whole += array.astype(np.float32) * relative
            self._noise.blocks.blur(whole, array, size, along)
        return whole

    def numbers(self, place: int, *shape: int) -> Array:
        return self._noise.blocks.numbers(self._samples, *shape) * np.float32(self._size(place))

    def through(self, deviations: Array, stacked: bool) -> Array:
        rest = [None if self._node.op.operands[place] == "b" else array for place, array in self._others()]
        if not stacked or deviations.ndim < 3:
            return np.stack([self._apply([each, *rest], DType.FLOAT32)[0] for each in deviations])
        samples, rows, *shape = deviations.shape
        whole = self._apply([deviations.reshape(samples * rows, *shape), *rest], DType.FLOAT32)[0]
        return whole.reshape(samples, *self.result.shape)

    def derivative(self) -> Array:
        given = self.operands[0]
        assert given is not None
        x, y = given.reshape(-1), self.result.reshape(-1)
        found = np.empty(given.shape, np.float32)
        slopes = found.reshape(-1)

        def work(start: int) -> None:
            part = slice(start, start + _BLOCK)
            step = np.maximum(np.abs(x[part]), 1) * 2.0**-20
            (further,) = self._apply([x[part] + step], DType.FLOAT64)
            np.divide(further - y[part], step, out=slopes[part], casting="same_kind")

        for_each(work, range(0, x.size, _BLOCK), given.nbytes)
        return found

    def _others(self) -> list[tuple[int, Array | None]]:
        """The operands but the first in float32: of a weight the array that is stored."""
        pairs = enumerate(zip(self.operands, self._stored, strict=True))
        found = [(place, own if stored is None else stored) for place, (own, stored) in pairs if place]
        return [(place, None if each is None else each.astype(np.float32, copy=False)) for place, each in found]

    def _size(self, place: int) -> float:
        value = self._node.inputs[place]
        assert value is not None
        return self._units * value.dtype.eps / _UNIT


def _stored(value: Value | None) -> Array | None:
    """The array of a weight."""
    return value.source.array if value is not None and isinstance(value.source, Parameter) else None


def _is_of_last_axis(relative: Array, array: Array) -> bool:
    return array.ndim > 0 and relative[0].size == relative.shape[-1] == array.shape[-1] <= WIDEST


def _finite(deviations: Array) -> Array:
    """The deviations, 0 where infinity or NaN is: they are no distance."""
    if not np.isfinite(deviations.sum()):
        deviations[~np.isfinite(deviations)] = 0
    return deviations


__all__ = ["Deviations", "is_straight"]
