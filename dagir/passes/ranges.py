"""Check that the products that a fold computes stay in the normal range of their dtype, as their factors do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from dagir.ir.arrays import release
from dagir.ir.graph import Value
from dagir.ir.types import Array, DType
from dagir.passes.derived import leaf_array

_PART = 1 << 16  # elements per part: copies of a part fit into the cache


class Range(NamedTuple):
    """Bounds of the magnitudes of the elements that are not zero."""

    least: float
    most: float


class Ranges:
    """The ranges of the weights in one run of a pass; each weight is read only once to find its range."""

    def __init__(self) -> None:
        self._known: dict[Value, Range] = {}

    def of(self, weight: Value) -> Range:
        """The range of a leaf."""
        if weight not in self._known:
            array = leaf_array(weight)
            self._known[weight] = _range(array)
            release(array)
        return self._known[weight]

    def product(self, weight: Value, factors: Array) -> Range | None:
        """The range of a leaf times float64 factors; None if a product overflows, or is subnormal and loses digits.

        The bounds decide if they can; otherwise every product is checked.
        """
        if not np.isfinite(factors).all():
            return None
        least, most = (a * b for a, b in zip(self.of(weight), _range(factors), strict=True))
        if least >= weight.dtype.tiny and most <= largest(weight.dtype):
            return Range(least, most)
        array = leaf_array(weight)
        stays = _stays(array, factors, weight.dtype)
        release(array)
        return Range(least, min(most, largest(weight.dtype))) if stays else None

    def note(self, made: Value, found: Range) -> None:
        """Store the range of a weight that a fold made."""
        self._known[made] = found


def largest(dtype: DType) -> float:
    """The largest finite number."""
    return float(ml_dtypes.finfo(dtype.numpy).max)


def _range(array: Array) -> Range:
    least, most = np.inf, 0.0
    exact = np.float64 if array.dtype == np.float64 else np.float32
    for (part,) in _parts(array):
        sizes = np.abs(part.astype(exact, copy=False))
        most, smallest = max(most, float(sizes.max(initial=0))), float(sizes.min(initial=np.inf))
        least = min(least, smallest or float(sizes.min(initial=np.inf, where=sizes > 0)))
    return Range(least, most)


@np.errstate(over="ignore", under="ignore", invalid="ignore")
def _stays(array: Array, factors: Array, dtype: DType) -> bool:
    for parts in _parts(array, factors):
        numbers, by = (np.abs(part.astype(np.float64)) for part in parts)
        products = numbers * by
        lost = (products < dtype.tiny) & (numbers >= dtype.tiny) & (by >= dtype.tiny)
        if (lost | ((products > largest(dtype)) & np.isfinite(numbers))).any():
            return False
    return True


def _parts(*arrays: Array) -> Iterator[list[Array]]:
    """Broadcast the arrays, and yield them part by part."""
    walk: Any = np.nditer(arrays, ["external_loop", "buffered", "zerosize_ok"], buffersize=_PART)
    for parts in walk:
        yield list(parts) if len(arrays) > 1 else [parts]
