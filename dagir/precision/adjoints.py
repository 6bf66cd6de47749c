"""Adjoints: from what the outputs of a node are worth, what its operands are worth. One step of reverse mode.

`adjoint` is J^T g for the Jacobian J of a node at one operand. Three rules cover most ops by their traits alone:

- elementwise: the derivative is a central difference, taken for all elements at once;
- ops that only move elements: evaluated on the numbers of the elements, which shows where each of them goes;
- ops that choose elements by their size (a max pool, a sort): evaluated on the ranks of the elements.

Linear maps and normalizations have rules of their own. For what is left (recurrences, branches, loops), the adjoint is
estimated from random directions: right on average for errors that are as random as those of rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, TypeAlias

import numpy as np

from dagir import ops
from dagir.ir.graph import Node, Op
from dagir.ir.types import Array

Arrays: TypeAlias = Sequence[Array | None]

_STEP = 1e-5
_MOVING = (ops.Pad, ops.Tril, ops.Triu)
"""Ops that move elements and put constants between them."""
_CHOOSING = (ops.MaxPool, ops.ReduceMax, ops.ReduceMin, ops.Sort, ops.TopK, ops.AdaptiveMaxPool, ops.MaxPoolWithIndices)
_PROBES = 4
_FEW = 16
_MOST_PROBES = 256
"""Of nodes that evaluate many of them as one batch; of others there are a few."""
_SOME = 64
"""Of a row of more elements than `_MOST_PROBES`, which no number of probes makes exact."""
_AT_ONCE = 1 << 21
"""The most elements of a batch of probes."""
_MOST_ORTHOGONAL = 4096
_HELD = 1 << 23
"""The most elements of changes that are kept for a node without a rule."""


@dataclass(frozen=True)
class Evaluated:
    """One evaluation of a node in float64. apply: evaluates it on other operands.

    probes: by operand, what is found once: of a node without a rule, directions and how the results change along each;
    of an elementwise one, the slopes.
    """

    node: Node
    operands: Arrays
    results: Sequence[Array]
    apply: Callable[[Arrays], Sequence[Array]]
    probes: dict[int, tuple[Array, list[Array]]] = field(default_factory=dict, repr=False, compare=False)

    def with_operand(self, place: int, array: Array) -> Sequence[Array]:
        """The results with one operand replaced."""
        return self.apply([array if at == place else operand for at, operand in enumerate(self.operands)])


Rule: TypeAlias = Callable[[Any, Evaluated, int, Array], Array | None]
"""(op, the evaluation, the place of the operand, what the first result is worth) -> what the operand is worth.

None where the rule knows other operands only, as of weights that are computed.
"""

RULES: dict[type[Op], Rule] = {}


def rule(*classes: type[Op]) -> Callable[[Rule], Rule]:
    """Decorate the rule for one or more ops of one result."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(classes, function))
        return function

    return register


def adjoint(at: Evaluated, place: int, gradients: Arrays, rng: np.random.Generator) -> Array:
    """What an operand is worth, from what each result is worth (None: nothing). The shape of the operand."""
    op = at.node.op
    first = gradients[0]
    known = RULES[type(op)](op, at, place, first) if type(op) in RULES and first is not None else None
    if known is not None:
        return known
    if op.elementwise and first is not None:
        return _elementwise(at, place, first)
    if op.moves_only or isinstance(op, _MOVING):
        return _moved(at, place, gradients)
    if isinstance(op, _CHOOSING):
        return _chosen(at, place, gradients)
    return _estimated(at, place, gradients, rng)


def operand_of(at: Evaluated, place: int) -> Array:
    """An operand that is there."""
    found = at.operands[place]
    assert found is not None
    return found


def optional(at: Evaluated, place: int) -> Array | None:
    """An operand that may be absent."""
    return at.operands[place] if place < len(at.operands) else None


def summed_to(array: Array, shape: Sequence[int]) -> Array:
    """The adjoint of broadcasting: the sum over the axes that were added or were of size 1."""
    extra = array.ndim - len(shape)
    array = array.sum(axis=tuple(range(extra))) if extra else array
    ones = tuple([axis for axis, size in enumerate(shape) if size == 1 and array.shape[axis] != 1])
    return np.asarray(array.sum(axis=ones, keepdims=True) if ones else array)


def _elementwise(at: Evaluated, place: int, gradient: Array) -> Array:
    given = operand_of(at, place)
    if place in at.probes:
        return summed_to(at.probes[place][0] * gradient, given.shape)
    x = np.broadcast_to(given, gradient.shape)
    scale = sqrt(float(np.mean(np.square(x)))) if x.size else 0.0
    step = _STEP * np.maximum(np.abs(x), 1e-3 * scale or 1.0)
    above, below = at.with_operand(place, x + step)[0], at.with_operand(place, x - step)[0]
    slope = np.nan_to_num((above - below) / (2 * step), nan=0.0, posinf=0.0, neginf=0.0)
    at.probes[place] = slope, []
    return summed_to(slope * gradient, given.shape)


def _moved(at: Evaluated, place: int, gradients: Arrays) -> Array:
    """Evaluated on numbers from 1 on; what differs from the evaluation on zeros is an element of the operand."""
    given = operand_of(at, place)
    numbers = np.arange(1.0, given.size + 1).reshape(given.shape)
    return _gathered(given, at.with_operand(place, numbers), at.with_operand(place, np.zeros(given.shape)), gradients)


def _chosen(at: Evaluated, place: int, gradients: Arrays) -> Array:
    """Evaluated on the ranks of the elements, which the op chooses as it does the elements."""
    given = operand_of(at, place)
    order = np.argsort(given, axis=None, kind="stable")
    ranks = np.empty(given.size)
    ranks[order] = np.arange(1.0, given.size + 1)
    found = at.with_operand(place, ranks.reshape(given.shape))
    by_rank = _gathered(given, found, [np.zeros(array.shape) for array in found], gradients).reshape(-1)
    worth = np.empty(given.size)
    worth[order] = by_rank
    return worth.reshape(given.shape)


def _gathered(given: Array, found: Sequence[Array], outside: Sequence[Array], gradients: Arrays) -> Array:
    """The sum, for each number from 1 on, of what the elements of the results are worth that hold it."""
    worth = np.zeros(given.size)
    for array, zero, gradient in zip(found, outside, gradients, strict=True):
        if gradient is not None and array.dtype.kind == "f":
            places = (array - zero).reshape(-1)
            held = np.isfinite(places) & (places >= 1) & (places <= given.size)
            worth += np.bincount(places[held].astype(np.int64) - 1, gradient.reshape(-1)[held], minlength=given.size)
    return worth.reshape(given.shape)


def _estimated(at: Evaluated, place: int, gradients: Arrays, rng: np.random.Generator) -> Array:
    """The sum of u <g, J u> over orthogonal directions u of a row: exact where there are as many as elements.

    With fewer it is the part of the adjoint in their span, so scaled that a random error is worth what it should be.
    """
    given = operand_of(at, place)
    rows = _rows(given, at, place, gradients)
    if place not in at.probes:
        at.probes[place] = _probed(at, place, rows, rng)
    directions, changes = at.probes[place]
    told = np.zeros((len(directions), rows))
    for change, gradient in zip(changes, gradients, strict=True):
        if gradient is not None:
            told += np.einsum("prn,rn->pr", change, gradient.reshape(rows, -1))
    worth = told.T @ directions
    share = sqrt(worth.shape[1] / max(len(directions), 1))
    return (share * worth).reshape(given.shape)


def _probed(at: Evaluated, place: int, rows: int, rng: np.random.Generator) -> tuple[Array, list[Array]]:
    """Orthogonal directions of a row of an operand, and how the results change along each."""
    given = operand_of(at, place)
    size = given.size // rows
    apart = rows > 1 and not (at.node.op.shape_fields or at.node.op.size_fields or at.node.op.graph_fields)
    count = _probe_count(at, size, apart)
    if size <= count:
        directions = np.eye(size)
    elif size <= _MOST_ORTHOGONAL:
        directions = np.linalg.qr(rng.standard_normal((size, count)))[0].T
    else:
        directions = rng.choice([-1.0, 1.0], (count, size)) / sqrt(size)
    scale = sqrt(float(np.mean(np.square(given)))) if given.size else 0.0
    step = _STEP * (scale or 1.0)
    changes: list[list[Array]] = []
    together = max(_AT_ONCE // max(given.size, *(array.size for array in at.results)), 1) if apart else 1
    for start in range(0, count, together):
        some = directions[start : start + together]
        offsets = [step * np.broadcast_to(each, (rows, size)).reshape(given.shape) for each in some]
        above, below = (_side_by_side(at, place, [given + sign * each for each in offsets]) for sign in (1, -1))
        changes += [
            [_slope(*pair, step) for pair in zip(*each, strict=True)] for each in zip(above, below, strict=True)
        ]
    return directions, [np.stack(each).reshape(count, rows, -1) for each in zip(*changes, strict=True)]


def _probe_count(at: Evaluated, size: int, apart: bool) -> int:
    """How many directions are taken of a row of so many elements."""
    most = _FEW if not apart else _MOST_PROBES if size <= _MOST_PROBES else _SOME
    held = _HELD // max(sum(array.size for array in at.results), 1)
    return max(min(size, most, held), min(_PROBES, size))


def _slope(high: Array, low: Array, step: float) -> Array:
    if high.dtype.kind != "f":
        return np.zeros(high.shape)
    return np.nan_to_num((high - low) / (2 * step), nan=0.0, posinf=0.0, neginf=0.0)


def _side_by_side(at: Evaluated, place: int, arrays: Sequence[Array]) -> list[list[Array]]:
    """The results for each array in the place of an operand: one evaluation of a batch that holds them all."""
    if len(arrays) == 1:
        return [list(at.with_operand(place, arrays[0]))]
    value = at.node.inputs[place]
    assert value is not None
    batch = value.type.shape[0]
    given: list[Array | None] = []
    for number, (operand, other) in enumerate(zip(at.operands, at.node.inputs, strict=True)):
        has_batch = other is not None and other.type.rank > 0 and other.type.shape[0] == batch
        if number == place:
            given.append(np.concatenate(arrays))
        else:
            given.append(np.concatenate([operand] * len(arrays)) if has_batch and operand is not None else operand)
    split = [np.split(result, len(arrays)) for result in at.apply(given)]
    return [list(each) for each in zip(*split, strict=True)]


def _rows(given: Array, at: Evaluated, place: int, gradients: Arrays) -> int:
    """The number of rows that the node works on apart: those of the batch, if operand and results have as many."""
    first = given.shape[0] if given.ndim else 1
    results = [g.shape[0] if g is not None and g.ndim else 1 for g in gradients if g is not None]
    value = at.node.inputs[place]
    named = value is not None and value.type.rank > 0 and not isinstance(value.type.shape[0], int)
    return first if named and first > 1 and all(n == first for n in results) else 1
