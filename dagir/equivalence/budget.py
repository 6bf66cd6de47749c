"""The error budget: how much rounding alone may change the answer of a graph for given inputs. Monte Carlo arithmetic.

Parker, "Monte Carlo Arithmetic: exploiting randomness in floating-point arithmetic" (UCLA CSD-970002, 1997); Denis, de
Oliveira Castro and Petit, "Verificarlo" (ARITH 2016). The graph is evaluated in float64 with random relative noise on
the operands and the results of each node; the noise is as large as the rounding errors of the target dtype (see
dagir.equivalence.noise). Noise on the operands is backward error: it shows the effect of cancellation, which noise on
the results does not. The spread of the answers is the error that rounding can cause. It grows where the graph amplifies
errors, and shrinks where the graph damps them.

That errors are taken as random and independent, and so as growing with sqrt(K) and not with K, is the model of N. J.
Higham and T. Mary, "A new approach to probabilistic rounding error analysis" (SIAM J. Sci. Comput. 41, 2019): its
bounds hold with a probability that hardly depends on K. Two things follow, and make the budget cheap:

- The evaluations with noise are carried as deviations from the one without, to first order, as in running error
  analysis: dagir.equivalence.deviations.
- Few of them are enough at first, since the spread is pooled over the elements of a tensor: with n of them, that of a
  single number is estimated too high by 2.5 with a probability of exp(-6.25) for n = 2. An answer that uses less than
  `CLEAR` of such an estimate uses less than all of a precise one. Any other answer is judged on many more evaluations
  (dagir.equivalence.verification), so that no verdict near the limit hangs on few numbers.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from dagir.ir.types import Array, DType

WHOLE = 2.0
"""Of a tensor as a whole: by how much the root mean square of its errors may exceed the largest of the disturbed ones.
A single element has room for an unlucky sum; an error that is in all of them, as of a scaled weight, has none."""

SAFETY = 8.0
"""Roundings are sums of many small parts: a million elements reach five standard deviations, and 8 leaves a margin
for kernels with approximated exp, tanh and erf (a few units in the last place)."""

_UNLUCKY = 2.9
"""Standard deviations of a normal number that is exceeded as seldom, once in 500 times."""


def clear(samples: int) -> float:
    """The share of a budget from so many evaluations below which more of them would not change the verdict.

    A variance that is estimated from n numbers is too high by a factor that follows chi-square over n; its quantile is
    that of E. B. Wilson and M. M. Hilferty, "The distribution of chi-square" (PNAS 17, 1931). 0.4 of 2, 0.65 of 16.
    """
    part = 2 / (9 * samples)
    return float((1 - part + _UNLUCKY * sqrt(part)) ** -1.5)


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
        """Judge nothing where this evaluation in the narrow dtype, or one before, overflows and the answer does not.

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
            self._beyond = beyond if self._beyond is None else self._beyond | beyond

    def add(self, sample: Array) -> None:
        """Add one answer with noise."""
        if sample.shape != self.answer.shape:
            self.others.setdefault(sample.shape, Spread(sample, self.dtype)).add(sample)
            return
        if self.dtype.is_float:
            with np.errstate(all="ignore"):
                self.deviate(np.asarray(sample - self.answer))  # NumPy turns arrays of rank 0 into scalars
            return
        self._count += 1
        if not np.array_equal(sample, self.answer):
            self.variants.append(sample)

    def deviate(self, deviation: Array) -> None:
        """Add one answer by what it deviates by; the array may be written to."""
        self._count += 1
        if not deviation.any():
            return
        deviation[~np.isfinite(deviation)] = 0
        deviation = np.square(deviation, dtype=np.float64)
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
