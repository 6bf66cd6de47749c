"""Channels that a low-precision file makes larger or smaller than the model does, anywhere in the network.

Rounding moves elements by chance, each another way. A scale that is off moves all elements of a channel alike, and may
change the outputs less than rounding may: one filter of many, off by two percent, is lost among halves, and among codes
of activations that rounding moved by one. So for each channel
of each value that can be observed, the least-squares factor between what the file and what the model have is found:
sum(f w) / sum(w w). Chance leaves it near 1, within the error that the remaining differences tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dagir.equivalence.bisection import Divergence
from dagir.equivalence.inputs import draw, size_plans
from dagir.equivalence.oracle import Oracle
from dagir.equivalence.report import Case
from dagir.ir.diagnostics import op_text
from dagir.ir.graph import Node, Value
from dagir.ir.types import Array, DType
from dagir.runtime.backend import Apply, Executable

_OWN = "the same codes"
CODES = {"codes": _OWN}
TOLERANCES = {"float16": 4e-3, "bfloat16": 3e-2, _OWN: 2e-3}
"""How far from 1 a factor may be beyond chance: 8 times the largest rounding of a single weight, of which a channel may
have only one. Of a file with codes, against a model with the same codes, which kernels compute exactly."""

_SURE = 8.0  # standard errors
_TOO_SMALL = 1e-4  # of the mean square of all channels
_FEWEST = 12  # elements of a channel
_FEWEST_LARGE = 8  # of those that make up most of it
_ROWS = 16
_AT_ONCE = 48  # points that are observed in one run
_MOST = 1 << 26  # elements of all points together


@dataclass(frozen=True)
class Gain:
    """The channel of a value whose factor is the furthest from 1. excess: of the tolerance, above 1 where it fails."""

    channel: int
    factor: float
    error: float
    excess: float


def first_gain(name: str, exe: Executable, oracle: Oracle, arrays: Sequence[Array], kind: str) -> Divergence | None:
    """The first node with a channel that is off, as a Divergence; None where all are right or none can be observed.

    name: of the executable. kind: a key of `TOLERANCES`. arrays: its inputs.
    """
    values = oracle.points.values
    wanted = [point for point in exe.points() if point in values and values[point].dtype.is_float]
    found: dict[Value, tuple[str, Array]] = {}
    elements = 0
    for start in range(0, len(wanted), _AT_ONCE):
        names = wanted[start : start + _AT_ONCE]
        for point, array in zip(names, exe.observe(arrays, names), strict=True):
            found[values[point]] = point, array
            elements += array.size
        if elements > _MOST:
            break
    gains: dict[Node, tuple[str, Gain]] = {}

    def compare(node: Node, operands: Sequence[Array | None], apply: Apply) -> tuple[Array, ...]:
        results = apply(operands, DType.FLOAT64)
        for value, result in zip(node.outputs, results, strict=True):
            if value in found and not node.op.moves_only:
                point, array = found[value]
                gain = largest_gain(array, result, _axis(node), TOLERANCES[kind])
                if gain is not None and gain.excess > 1:
                    gains.setdefault(node, (point, gain))
        return results

    with np.errstate(all="ignore"):
        oracle.trace(arrays, compare)
    if not gains:
        return None
    node = min(gains, key=lambda each: each.serial)
    point, gain = gains[node]
    return _divergence(name, exe.points()[point], node, point, gain)


def samples_for(
    oracle: Oracle, cases: Sequence[Case], runs: Sequence[tuple[list[Array], object]], seed: int
) -> list[Array]:
    """Inputs with as many rows as tell a factor: given ones, or drawn ones where those are few, or very many."""
    for case, (arrays, _) in zip(cases, runs, strict=True):
        rows = min((len(array) if array.ndim else 0 for array in arrays), default=0)
        if case.kind == "given" and _ROWS <= rows <= 4 * _ROWS:
            return arrays
    plan = size_plans(oracle.graph)[0]
    batches = {str(value.type.shape[0]) for value in oracle.graph.inputs if value.type.shape}
    sizes = {name: max(size, _ROWS) if name in batches else size for name, size in plan.tried[0].items()}
    return draw(oracle.graph, sizes, np.random.default_rng(seed), plan.kind)


def largest_gain(found: Array, wanted: Array, axis: int, tolerance: float) -> Gain | None:
    """The channel that is the furthest off beyond chance, as it is or without its mean, which a bias may outweigh.

    None where no channel has elements enough.
    """
    if found.shape != wanted.shape or wanted.ndim < 2:
        return None
    channels = wanted.shape[axis]
    narrow, right = (np.moveaxis(each, axis, 0).reshape(channels, -1).astype(np.float64) for each in (found, wanted))
    known = np.flatnonzero(np.isfinite(narrow).all(1) & np.isfinite(right).all(1))
    if right.shape[1] < _FEWEST or not known.size:
        return None
    narrow, right = narrow[known], right[known]
    least = _TOO_SMALL * np.square(right).sum(1).mean()
    moved, varied = (each - each.mean(1, keepdims=True) for each in (narrow, right))
    pairs = (_factors(narrow, right, least), _factors(moved, varied, least))
    excess = np.stack([np.abs(factors - 1) - _SURE * chance for factors, chance in pairs]) / tolerance
    way, worst = np.unravel_index(int(excess.argmax()), excess.shape)
    error = float(np.abs(narrow[worst] - right[worst]).max())
    return Gain(int(known[worst]), float(pairs[way][0][worst]), error, float(excess[way, worst]))


def _factors(found: Array, wanted: Array, least: float) -> tuple[Array, Array]:
    """The factor of each channel, and its standard error; 1 for channels that hold next to nothing, or few elements.

    How many elements tell: (sum w w)**2 / sum w**4, which is 1 where one is much larger than all others: its rounding
    alone makes the factor then.
    """
    squares = np.square(wanted)
    power = squares.sum(1)
    holds = (power > least) & (power > 0)
    safe = np.where(holds, power, 1)
    holds &= safe**2 >= _FEWEST_LARGE * np.square(squares).sum(1)
    factors = (found * wanted).sum(1) / safe
    left = np.square(found - factors[:, None] * wanted).sum(1)
    return np.where(holds, factors, 1), np.where(holds, np.sqrt(left / (wanted.shape[1] - 1) / safe), 0)


def _axis(node: Node) -> int:
    """The axis of the channels."""
    return 1 if getattr(node.op, "data_format", "") == "channels_first" else -1


def _divergence(name: str, title: str, node: Node, point: str, gain: Gain) -> Divergence:
    layer = node.scope.path if node.scope is not None else ""
    source = node.location.short if node.location is not None else ""
    note = f"channel {gain.channel} is {gain.factor:.4f} times what it should be"
    return Divergence(name, title, layer, op_text(node.op), point, gain.error, gain.excess, note, source, runs=1)
