"""The error budget: how much rounding alone may change the answer of a graph for given inputs. Monte Carlo arithmetic.

Parker, "Monte Carlo Arithmetic: exploiting randomness in floating-point arithmetic" (UCLA CSD-970002, 1997); Denis, de
Oliveira Castro and Petit, "Verificarlo" (ARITH 2016). The graph is evaluated a few more times in float64, with random
relative noise on the operands and the results of each node; the noise is as large as the rounding errors of the target
dtype. Noise on the operands is backward error: it shows the effect of cancellation, which noise on the results does
not. The spread of the answers is the error that rounding can cause. It grows where the graph amplifies errors, and
shrinks where the graph damps them.

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
from math import sqrt

import numpy as np

from dagir.ir.graph import Node, Parameter, Value
from dagir.ir.rounding import Arrays, Disturbed
from dagir.ir.types import Array, DType
from dagir.runtime.backend import Apply

WHOLE = 2.0
"""Of a tensor as a whole: by how much the root mean square of its errors may exceed the largest of the disturbed ones.
A single element has room for an unlucky sum; an error that is in all of them, as of a scaled weight, has none."""

SAFETY = 8.0
"""Roundings are sums of many small parts: a million elements reach five standard deviations, and 8 leaves a margin
for kernels with approximated exp, tanh and erf (a few units in the last place)."""


_SHORT = (DType.FLOAT16,)
"""Dtypes whose smallest normal number is so large that what networks compute lies below it."""


class Noise:
    """Finds out in a first evaluation which nodes round (`learn`), then adds noise to these (`disturb`).

    flush: replace subnormal numbers by zero, at random.
    """

    def __init__(self, rng: np.random.Generator, flush: bool = False) -> None:
        self._rng, self._flush = rng, flush
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

    def disturb(self, node: Node, operands: Sequence[Array | None], apply: Apply) -> tuple[Array, ...]:
        """The float64 results, with noise on the operands and on the results."""
        if node.op.graph_fields:
            return apply(operands, DType.FLOAT64)
        if self._flush:
            pairs = zip(node.inputs, operands, strict=True)
            operands = [a if a is None or v is None else self._flushed(a, v.dtype) for v, a in pairs]
        if self._exact[node]:
            return apply(operands, DType.FLOAT64)
        rounding = node.op.how_it_rounds()
        units = 0.5 * (1 + sqrt(self._lengths[node]) / 4)
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
            results = [rule(node.op, Disturbed(noisy, result, eps, self._rng, apply)) for result in results]
        return results

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
        uniform = np.asarray(self._rng.random(array.shape, dtype=np.float32)) - np.float32(0.5)
        noise = (uniform * np.float32(sqrt(12) * units * dtype.eps)).astype(np.float64)
        # float16 has fewer digits below its smallest normal number, and squares are often that small.
        size = np.where(np.abs(array) < dtype.tiny, np.sign(array) * dtype.tiny, array) if dtype in _SHORT else array
        return np.asarray(array + size * noise)


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
    return not rounding.is_approximate and seems_exact(node, operands, apply)


def seems_exact(node: Node, operands: Sequence[Array | None], apply: Apply) -> bool:
    """Like `_is_exact`, but decided by an evaluation alone, not by the op's declaration."""
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


class Spread:
    """The spread of the answers with noise around the answer without; only sums of squares are stored.

    Answers of another shape, where the data decide a size and rounding the data, are spread around the first of them.
    """

    def __init__(self, answer: Array, dtype: DType) -> None:
        self.answer, self.dtype = answer, dtype
        self.variants: list[Array] = []
        self.others: dict[tuple[int, ...], Spread] = {}  # answers of another size, where rounding decides that
        self._squares: Array | None = None
        self._count = 0
        self._largest = 0.0
        self._beyond: Array | None = None

    def forgive(self, narrow: Array, is_left: bool) -> None:
        """Judge nothing where this evaluation in the narrow dtype overflows and the answer does not.

        is_left: whether an intermediate value overflows. Then elements that are far from the answer are not judged
        either: one over infinity is 0 here.
        """
        if narrow.shape != self.answer.shape:
            return
        if not self.dtype.is_float:
            if is_left and not np.array_equal(narrow, self.answer):
                self.variants.append(narrow)
            return
        wide = narrow.astype(np.float64)
        beyond = ~np.isfinite(wide) & np.isfinite(self.answer)
        if is_left:
            beyond |= np.abs(wide - self.answer) > self._budget()[0]
        if beyond.any():
            self._beyond = beyond

    def add(self, sample: Array) -> None:
        """Add one answer with noise."""
        if sample.shape != self.answer.shape:
            self.others.setdefault(sample.shape, Spread(sample, self.dtype)).add(sample)
            return
        self._count += 1
        if not self.dtype.is_float:
            if not np.array_equal(sample, self.answer):
                self.variants.append(sample)
            return
        with np.errstate(all="ignore"):
            deviation = np.asarray(sample - self.answer)  # NumPy turns arrays of rank 0 into scalars
        if not deviation.any():
            return
        deviation[~np.isfinite(deviation)] = 0
        np.square(deviation, out=deviation)
        self._largest = max(self._largest, sqrt(float(deviation.mean())))
        self._squares = deviation if self._squares is None else self._squares + deviation

    def allowance(self) -> tuple[Array, float]:
        """The budget of each element, and the budget of the root mean square of all errors.

        The standard deviation of an element is estimated from few samples, so it is pooled with the root mean square
        over the tensor. So the budget is not too small for an element that had little noise by chance. Wherever
        something rounds, one unit in the last place is always allowed, and so is the smallest normal number, below
        which kernels may flush to zero.
        """
        budget, whole = self._budget()
        if self._beyond is not None:
            return np.where(self._beyond, np.inf, budget), np.inf
        return budget, whole

    def _flushable(self) -> Array:
        """The budget of elements that kernels may flush to zero, since they are subnormal; it needs no rounding."""
        if not self.dtype.is_float:
            return np.zeros(self.answer.shape)
        return np.where((np.abs(self.answer) < self.dtype.tiny) & (self.answer != 0), float(self.dtype.tiny), 0.0)

    def _budget(self) -> tuple[Array, float]:
        least = self._flushable()
        if self._squares is None or not self.answer.size:
            return least, float(least.max(initial=0))
        variance = self._squares / self._count
        pooled = float(variance.mean())
        if pooled == 0:
            return least, float(least.max(initial=0))
        finite = np.nan_to_num(self.answer, nan=0.0, posinf=0.0, neginf=0.0)
        unit = self.dtype.eps * np.abs(finite)
        budget: Array = np.maximum(SAFETY * np.sqrt((variance + pooled) / 2), unit) + self.dtype.tiny
        return budget, WHOLE * self._largest + float(unit.max()) / 2 + self.dtype.tiny
