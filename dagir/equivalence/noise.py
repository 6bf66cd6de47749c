"""Noise as large as the rounding errors of the target dtype, on the operands and the results of nodes.

The size of the noise. A float32 kernel that sums K terms one after another rounds K partial sums, each by about a
quarter of eps. For terms of random sign the partial sums grow as sqrt(k), so the error is 0.25 eps sqrt(K/2) times
the sum's own size; for terms of one sign it is 0.25 eps sqrt(K/3) times the sum. Both are noise proportional to
sqrt(K), on operands and result: (eps/2)(1 + sqrt(K)/4). Blocked kernels do better, and stay below the budget.

A node is exact if its result in the target dtype equals its result in float64, bit by bit (a reshape, a ReLU, a
gather). Every backend computes the same there, so the node gets no noise. For that reason no noise moves a value across
a step of floor.

If an op has rounding errors of other kinds, its class declares them: `Op.rounding`, see dagir.ir.rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2, prod, sqrt

import numpy as np

from dagir.equivalence.noise_blocks import Blocks
from dagir.ir.graph import Node, Parameter, Value
from dagir.ir.rounding import Arrays, Disturbed
from dagir.ir.types import Array, DType
from dagir.runtime.backend import Apply

_SHORT = (DType.FLOAT16,)
"""Dtypes whose smallest normal number is so large that what networks compute lies below it."""

_TRIED = 1 << 12  # elements that are tried first for whether a node is exact


class Noise:
    """Finds out in a first evaluation which nodes round (`learn`), then adds noise to these (`disturb`).

    flush: replace subnormal numbers by zero, at random.
    """

    def __init__(self, rng: np.random.Generator, flush: bool = False) -> None:
        self._rng, self.flush = rng, flush
        self.blocks = Blocks(rng)
        self._lengths: dict[Node, float] = {}
        self._exact: dict[Node, bool] = {}

    def learn(self, node: Node, operands: Sequence[Array | None], apply: Apply) -> tuple[Array, ...]:
        """The float64 results without noise; records whether the node is exact, and its accumulation length."""
        results = apply(operands, DType.FLOAT64)
        if node.op.graph_fields:  # the nodes inside have been disturbed
            return results
        length = accumulation_length(node, operands, results)
        self._lengths[node] = max(length, self._lengths.get(node, 1.0))
        self._exact[node] = self._exact.get(node, True) and _is_exact(node, operands, apply)
        return results

    def knows(self, node: Node) -> bool:
        """Whether a node has been evaluated."""
        return node in self._exact

    def is_exact(self, node: Node) -> bool:
        """Whether a node that has been evaluated rounds nothing."""
        return self._exact[node]

    def units(self, node: Node) -> float:
        """The standard deviation of the noise on the operands of a node, in units of eps."""
        return 0.5 * (1 + sqrt(self._lengths[node]) / 4)

    def disturb(self, node: Node, operands: Sequence[Array | None], apply: Apply) -> tuple[Array, ...]:
        """The float64 results, with noise on the operands and on the results."""
        if node.op.graph_fields:
            return apply(operands, DType.FLOAT64)
        if self.flush:
            pairs = zip(node.inputs, operands, strict=True)
            operands = [a if a is None or v is None else self._flushed(a, v.dtype) for v, a in pairs]
        if self._exact[node]:
            return apply(operands, DType.FLOAT64)
        if _is_skippable(node):
            return self._skipped(operands, apply)
        rounding, units = node.op.how_it_rounds(), self.units(node)
        noisy: Arrays = [
            None if value is None or operand is None else self._blur(operand, value.dtype, units)
            for value, operand in zip(node.inputs, operands, strict=True)
        ]
        if rounding.admissible is not None:
            noisy = rounding.admissible(noisy, operands)
        results = _within_the_domain(apply(noisy, DType.FLOAT64), operands, apply)
        total = units + rounding.within
        blurred = [self._blur(r, value.dtype, total) for value, r in zip(node.outputs, results, strict=True)]
        return tuple(self._as_kernels_round(node, noisy, blurred, apply))

    def _as_kernels_round(self, node: Node, noisy: Arrays, results: list[Array], apply: Apply) -> list[Array]:
        """Add the errors that an op declares, which noise on operands and results does not show."""
        first, rounding = noisy[0], node.op.how_it_rounds()
        if first is None or not node.outputs[0].dtype.is_float:
            return results
        eps = node.outputs[0].dtype.eps
        if rounding.absolute is not None:
            scales = rounding.absolute(first)
            results = [r + eps * scales * (self._rng.random(r.shape) - 0.5) * sqrt(12) for r in results]
        for rule in rounding.errors:
            results = [
                rule(node.op, Disturbed(noisy, result, eps, self._rng, apply, place))
                for place, result in enumerate(results)
            ]
        return results

    def _skipped(self, operands: Sequence[Array | None], apply: Apply) -> tuple[Array, ...]:
        """The result of a node, with noise as large as what it changes."""
        (x,), (result,) = operands, apply(operands, DType.FLOAT64)
        assert x is not None
        noisy = np.array(result, np.float64, order="C")
        with np.errstate(invalid="ignore"):
            self.blocks.add(noisy, np.where(np.isfinite(x) & np.isfinite(result), x - result, 0))
        return (noisy,)

    def _flushed(self, array: Array, dtype: DType) -> Array:
        """The array with half of its subnormal numbers, chosen at random, set to zero, as some kernels flush them."""
        if not dtype.is_float:
            return array
        tiny = (np.abs(array) < dtype.tiny) & (array != 0)
        if not tiny.any():
            return array
        return np.asarray(np.where(tiny & (self._rng.random(array.shape) < 0.5), 0, array))

    def _blur(self, array: Array, dtype: DType, units: float) -> Array:
        """The array with uniform relative noise, whose standard deviation is `units` times eps."""
        if not dtype.is_float:
            return array
        # float16 has fewer digits below its smallest normal number, and squares are often that small.
        size = np.where(np.abs(array) < dtype.tiny, np.sign(array) * dtype.tiny, array) if dtype in _SHORT else array
        noisy = np.array(array, np.float64, order="C")
        self.blocks.add(noisy, size * (units * dtype.eps))
        return noisy


def _is_skippable(node: Node) -> bool:
    """Whether a target may go on with the operand of a node in place of its result."""
    if not node.op.how_it_rounds().skippable:
        return False
    (x,) = node.inputs
    return x is not None and x.dtype.is_float


def _within_the_domain(results: Sequence[Array], operands: Sequence[Array | None], apply: Apply) -> Sequence[Array]:
    """The results; where noise moves an operand out of the function's domain (arccos at 1), the results without noise.

    Otherwise these samples would be NaN and be ignored, and the budget there would be too small.
    """
    lost = [result.dtype.kind == "f" and not np.isfinite(result).all() for result in results]
    if not any(lost):
        return results
    clean = apply(operands, DType.FLOAT64)
    return [
        np.where(np.isfinite(result), result, kept) if is_lost else result
        for result, kept, is_lost in zip(results, clean, lost, strict=True)
    ]


def accumulation_length(node: Node, operands: Sequence[Array | None], results: Sequence[Array]) -> float:
    """How many terms are summed for one element of the result: an estimate from the operands' sizes, at least 1.

    For a weight of rank 2 or more it is the product of all axes but the last, the layout of kernels; for any other
    operand it is the size of the operand divided by the size of the result.
    """
    pairs = [(v, a) for v, a in zip(node.inputs, operands, strict=True) if v is not None and a is not None]
    floats = [(value, array) for value, array in pairs if value.dtype.is_float]
    size = max((result.size for result in results), default=1)
    if not floats or not size:
        return 1.0
    terms = node.op.how_it_rounds().terms
    if terms is not None:
        return terms(node.op, [array for _, array in floats])
    return max(1.0, *(_terms_of_operand(value, array, results, size) for value, array in floats))


def _terms_of_operand(value: Value, array: Array, results: Sequence[Array], size: int) -> float:
    is_kernel = isinstance(value.source, Parameter) and array.ndim >= 2 and array.shape != results[0].shape
    return array.size / array.shape[-1] if is_kernel and array.size else array.size / size


def _is_exact(node: Node, operands: Sequence[Array | None], apply: Apply) -> bool:
    """Whether the node computes the same bits in the dtypes of its operands as in float64, for rounded operands.

    The op's declaration decides; if it has none, an evaluation decides.
    """
    rounding = node.op.how_it_rounds()
    if rounding.exact or not any(value.dtype.is_float for value in (*node.inputs, *node.outputs) if value is not None):
        return True
    if _is_skippable(node):
        (x,), (result,) = operands, apply(operands, DType.FLOAT64)
        return x is not None and np.array_equal(x, result, equal_nan=True)
    if rounding.is_approximate or not seems_exact(node, operands, apply):
        return False
    return not rounding.adds or _exact_in_any_order(operands[0], node.outputs[0].dtype)


def _exact_in_any_order(terms: Array | None, dtype: DType) -> bool:
    """Whether each sum of some of the terms is a number of the dtype, as of masks and of other whole numbers.

    All are multiples of a power of two, and all together are so few of it that the digits of the dtype hold them.
    """
    if terms is None or not dtype.is_float:
        return True
    sizes = np.abs(terms[np.isfinite(terms) & (terms != 0)], dtype=np.float64)
    if not sizes.size:
        return True
    digits = 1 - round(log2(dtype.eps))
    mantissas, exponents = np.frexp(sizes)
    whole = np.ldexp(mantissas, digits).astype(np.int64)  # what lies below is no digit of the dtype
    steps = np.ldexp((whole & -whole).astype(np.float64), exponents - digits)
    return bool(sizes.sum() <= 2.0**digits * steps.min())


def seems_exact(node: Node, operands: Sequence[Array | None], apply: Apply) -> bool:
    """Like `_is_exact`, but decided by an evaluation alone, not by the op's declaration.

    Of an op that works element by element, a few elements are tried first: most ops round there already.
    """
    if node.op.elementwise and (few := _few(operands)) is not None and not _agrees(node, few, apply):
        return False
    return _agrees(node, operands, apply)


def _few(operands: Sequence[Array | None]) -> list[Array | None] | None:
    """Some elements of operands that are broadcast to a large array; None for others."""
    arrays = [array for array in operands if array is not None]
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    rest = prod(shape)
    if rest < 4 * _TRIED:
        return None
    if all(array.size == 1 or array.shape == shape for array in arrays):
        return [
            array
            if array is None or array.size == 1
            else array.reshape(-1)[: _TRIED * 4 : 4].reshape(-1, *[1] * (array.ndim - 1))
            for array in operands
        ]
    ends = []  # of each axis; those of the last axes are beyond their sizes
    for size in shape:
        rest //= size
        ends.append(max(1, _TRIED // rest))
    return [
        array
        if array is None or array.size == 1
        else array[tuple(slice(end) for end in ends[len(ends) - array.ndim :])]
        for array in operands
    ]


def _agrees(node: Node, operands: Sequence[Array | None], apply: Apply) -> bool:
    """Whether the node computes the same bits from these operands in their own dtypes as in float64."""
    values = [value for value in (*node.inputs, *node.outputs) if value is not None]
    precision = DType.FLOAT32 if any(value.dtype is DType.FLOAT64 for value in values) else None
    narrow = [
        None if value is None or operand is None else _rounded(operand, value.dtype, precision)
        for value, operand in zip(node.inputs, operands, strict=True)
    ]
    wide = [array if array is None or array.dtype.kind in "iubT" else array.astype(np.float64) for array in narrow]
    found, wanted = apply(narrow, precision), apply(wide, DType.FLOAT64)
    return all(
        np.array_equal(_wide(f), _wide(w), equal_nan=f.dtype.kind == "f") for f, w in zip(found, wanted, strict=True)
    )


def _rounded(array: Array, dtype: DType, precision: DType | None) -> Array:
    with np.errstate(all="ignore"):
        return array.astype((precision or dtype).numpy) if dtype.is_float else array


def _wide(array: Array) -> Array:
    return array if array.dtype.kind in "iubT" else array.astype(np.float64)
