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
        for place, value in enumerate(node.outputs):
            if value not in found or node.op.moves_only:
                continue
            point, array = found[value]
            gain = largest_gain(array, results[place], _axis(node), kind)
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


def largest_gain(found: Array, wanted: Array, axis: int, kind: str) -> Gain | None:
    """The channel that is off beyond chance, and the furthest, as it is or without its mean, which a bias may outweigh.

    kind: a key of `TOLERANCES`. None where all are right, or no channel has elements enough.
    """
    if found.shape != wanted.shape or wanted.ndim < 2:
        return None
    by_channel = (len(wanted), -1, wanted.shape[axis])
    narrow, right = (np.moveaxis(each, axis, -1).reshape(by_channel).astype(np.float64) for each in (found, wanted))
    known = np.flatnonzero(np.isfinite(narrow).all((0, 1)) & np.isfinite(right).all((0, 1)))
    if right.shape[0] * right.shape[1] < _FEWEST or not known.size:
        return None
    narrow, right = narrow[..., known], right[..., known]
    least = _TOO_SMALL * np.square(right).sum((0, 1)).mean()
    moved, varied = (each - each.mean((0, 1)) for each in (narrow, right))
    both = (_off(narrow, right, right, least, kind), _off(moved, varied, right, least, kind))
    gains = [each for each in both if each is not None]
    if not gains:
        return None
    excess, channel, factor = max(gains)
    error = float(np.abs(narrow[..., channel] - right[..., channel]).max())
    return Gain(int(known[channel]), factor, error, excess)


def _off(found: Array, wanted: Array, numbers: Array, least: float, kind: str) -> tuple[float, int, float] | None:
    """The channel that is the furthest off: its excess of the tolerance, where it is, and its factor. None if none is.

    found, wanted: f[entries, places, channels], without their means or not; numbers: the right ones as they are.
    """
    factors, chance = _factors(found, wanted, least)
    excess = (np.abs(factors - 1) - _SURE * chance) / TOLERANCES[kind]
    for channel in np.argsort(-excess):
        if excess[channel] <= 1:
            break
        one, right, whole = (each[..., channel].reshape(-1) for each in (found, wanted, numbers))
        sure = _SURE * _chance_of_numbers(one, right, whole, factors[channel], kind)
        further = min(excess[channel], (abs(factors[channel] - 1) - sure) / TOLERANCES[kind])
        if further > 1:
            return float(further), int(channel), float(factors[channel])
    return None


def _factors(found: Array, wanted: Array, least: float) -> tuple[Array, Array]:
    """The factor of each channel, and its standard error; 1 for channels that hold next to nothing, or few elements.

    How many elements tell: (sum w w)**2 / sum w**4, which is 1 where one is much larger than all others: its rounding
    alone makes the factor then. Elements of one entry may be off together, so the error is that of sums of entries
    where it is larger (Liang and Zeger 1986, "Longitudinal data analysis using generalized linear models").
    """
    squares = np.square(wanted)
    power = squares.sum((0, 1))
    holds = (power > least) & (power > 0)
    safe = np.where(holds, power, 1)
    holds &= safe**2 >= _FEWEST_LARGE * np.square(squares).sum((0, 1))
    factors = (found * wanted).sum((0, 1)) / safe
    left = found - factors * wanted
    entries, places, _ = wanted.shape
    alone = np.square(left).sum((0, 1)) / (entries * places - 1) * safe
    together = np.square((left * wanted).sum(1)).sum(0) * entries / max(1, entries - 1)
    return np.where(holds, factors, 1), np.where(holds, np.sqrt(np.maximum(alone, together)) / safe, 0)


def _chance_of_numbers(found: Array, wanted: Array, numbers: Array, factor: float, kind: str) -> float:
    """The standard error of a factor where equal numbers are off alike: what is constant over an image rounds alike.

    Infinite where few numbers make up most of the channel.
    """
    narrow = numbers if kind == _OWN else numbers.astype(DType(kind).numpy).astype(np.float32)
    _, group = np.unique(narrow, return_inverse=True)
    power = np.bincount(group, np.square(wanted))
    if power.sum() ** 2 < _FEWEST_LARGE * np.square(power).sum():
        return np.inf
    sums = np.bincount(group, (found - factor * wanted) * wanted)
    return float(np.sqrt(np.square(sums).sum()) / power.sum())


def _axis(node: Node) -> int:
    """The axis of the channels."""
    return 1 if getattr(node.op, "data_format", "") == "channels_first" else -1


def _divergence(name: str, title: str, node: Node, point: str, gain: Gain) -> Divergence:
    layer = node.scope.path if node.scope is not None else ""
    source = node.location.short if node.location is not None else ""
    note = f"channel {gain.channel} is {gain.factor:.4f} times what it should be"
    return Divergence(name, title, layer, op_text(node.op), point, gain.error, gain.excess, note, source, runs=1)
