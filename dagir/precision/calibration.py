"""The ranges of values, from samples of the inputs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from dagir.errors import ArgumentError
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.types import Array
from dagir.runtime.backend import Apply, backend
from dagir.support.backend_names import NUMPY

_ROWS = 32
_KEPT = 1 << 14
"""The most numbers of a value that are kept of one run."""
_MOST = 1 << 17
_ANALYSED = 1 << 13
"""Elements of the inputs that an analysis of nodes reads, in two rows at least."""
_BINS = 2048
_LEVELS = 128
_TAIL = 0.01  # percent


class Ranges:
    """What was seen of some values of a graph: the ends, and a sample of the numbers."""

    def __init__(self, graph: Graph, arrays: Sequence[Array], wanted: Collection[Value], seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.ends: dict[Value, tuple[float, float]] = {}
        self.numbers: dict[Value, list[Array]] = {}
        chosen = set(wanted)

        def around(node: Node, operands: Sequence[Array | None], apply: Apply) -> tuple[Array, ...]:
            results = apply(operands, None)
            for value, array in zip(node.outputs, results, strict=True):
                if value in chosen:
                    self._note(value, array)
            return results

        exe: Any = backend(NUMPY).lower(graph)
        for part in parts(graph, arrays):
            for value, array in zip(graph.inputs, part, strict=True):
                if value in chosen:
                    self._note(value, array)
            with np.errstate(all="ignore"):
                exe.trace(part, around)

    def _note(self, value: Value, array: Array) -> None:
        flat = array.reshape(-1)
        flat = flat[np.isfinite(flat)].astype(np.float64)
        if not flat.size:
            return
        low, high = self.ends.get(value, (0.0, 0.0))
        self.ends[value] = min(low, float(flat.min())), max(high, float(flat.max()))
        held = self.numbers.setdefault(value, [])
        if sum(each.size for each in held) < _MOST:
            held.append(flat if flat.size <= _KEPT else self.rng.choice(flat, _KEPT, replace=False))

    def of(self, value: Value, method: str) -> tuple[float, float]:
        """The range to quantize by a method of METHODS."""
        if value not in self.numbers:
            return 0.0, 0.0
        return METHODS[method](np.concatenate(self.numbers[value]), *self.ends[value])


def first_rows(graph: Graph, arrays: Sequence[Array]) -> list[Array]:
    """A few of the samples, for an analysis whose time grows with each."""
    elements = sum(array.size // max(len(array), 1) for array in arrays if array.ndim)
    return parts(graph, arrays, min(max(_ANALYSED // max(elements, 1), 2), _ROWS))[0]


def parts(graph: Graph, arrays: Sequence[Array], most: int = _ROWS) -> list[list[Array]]:
    """The samples in parts of a few rows, where all inputs have a free batch."""
    free = all(value.type.rank and not isinstance(value.type.shape[0], int) for value in graph.inputs)
    rows = {len(array) for array in arrays} if free else set()
    if len(rows) != 1:
        return [list(arrays)]
    (count,) = rows
    return [[array[start : start + most] for array in arrays] for start in range(0, max(count, 1), most)]


def _min_max(numbers: Array, low: float, high: float) -> tuple[float, float]:
    return low, high


def _percentile(numbers: Array, low: float, high: float) -> tuple[float, float]:
    ends = np.percentile(numbers, [_TAIL, 100 - _TAIL])
    return max(low, min(float(ends[0]), 0.0)), min(high, max(float(ends[1]), 0.0))


def _least_squares(numbers: Array, low: float, high: float) -> tuple[float, float]:
    """The range, out of shrunken ones, whose codes are nearest to the numbers in the mean square."""
    best, least = (low, high), float("inf")
    for share in (1.0, 0.97, 0.94, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5, 0.4, 0.3):
        start, end = share * low, share * high
        scale = (end - start) / 255
        if scale <= 0:
            break
        zero = np.rint(-start / scale)
        codes = np.clip(np.rint(numbers / scale) + zero, 0, 255)
        error = float(np.mean(np.square((codes - zero) * scale - numbers)))
        if error < least:
            best, least = (start, end), error
    return best


def _entropy(numbers: Array, low: float, high: float) -> tuple[float, float]:
    """The range whose distribution loses the least information in 128 levels (Kullback and Leibler).

    Migacz, "8-bit inference with TensorRT" (GTC 2017). Zeros are left out: zero has a code of its own in any range, and
    the half of a relu's results that are zeros would count as lost, the more the wider the level around them.
    """
    largest = max(-low, high)
    if largest == 0:
        return low, high
    counts, edges = np.histogram(np.abs(numbers[numbers != 0]), bins=_BINS, range=(0, largest))
    if not counts.any():
        return low, high
    best, least = largest, float("inf")
    for bins in range(_LEVELS, _BINS + 1, _LEVELS // 2):
        kept = counts[:bins].astype(np.float64)
        wanted = kept.copy()
        wanted[-1] += counts[bins:].sum()
        groups = np.arange(bins) * _LEVELS // bins
        filled = kept > 0
        sums = np.bincount(groups, kept, minlength=_LEVELS)
        sizes = np.bincount(groups, filled, minlength=_LEVELS)
        found = np.where(filled, sums[groups] / np.maximum(sizes[groups], 1), 0.0)
        p, q = wanted / wanted.sum(), found / max(found.sum(), 1.0)
        both = (p > 0) & (q > 0)
        lost = float((p[both] * np.log(p[both] / q[both])).sum()) + float(p[(p > 0) & (q == 0)].sum()) * 10
        if lost < least:
            best, least = float(edges[bins]), lost
    return max(low, -best), min(high, best)


METHODS: dict[str, Callable[[Array, float, float], tuple[float, float]]] = {
    "minmax": _min_max,
    "percentile": _percentile,
    "entropy": _entropy,
    "mse": _least_squares,
}


def check_method(method: object) -> None:
    """Raise ArgumentError for an unknown method."""
    if method not in METHODS:
        raise ArgumentError(f"{method!r} is no way to find ranges", remedy=f"use one of {', '.join(METHODS)}")
