"""Compare one answer of a backend with the oracle's."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dagir.equivalence.oracle import Expected
from dagir.ir.types import Array, DType, TensorType


@dataclass(frozen=True)
class Finding:
    """max_error: the largest absolute error. used: the largest share of the budget, above 1 where it fails.

    note: what is wrong, or the values of the worst element; empty if nothing is wrong. scale: the largest magnitude of
    the right answer. worst: where in the flat array the largest share and the largest error are.
    """

    max_error: float
    used: float
    note: str = ""
    scale: float = 0.0
    worst: tuple[int, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether rounding explains all of it."""
        return self.used <= 1


def compare(found: object, expected: Expected, type: TensorType) -> Finding:
    """Judge an array. Integers and booleans must be exact; NaN and infinity must be at the same places.

    An integer that depends on rounding (an argmax of a tie) may have any value that it had in an evaluation with noise.
    """
    array = np.asarray(found)
    if array.dtype != type.dtype.numpy:
        return _broken(f"dtype {array.dtype}, the model declares {type.dtype}")
    expected = next((other for other in expected.others if other.array.shape == array.shape), expected)
    return replace(_compare(array, expected, type), scale=magnitude(expected.array))


def magnitude(array: Array) -> float:
    """The largest magnitude of a finite element; 0 where there is none, and for text."""
    if array.dtype.kind not in "biuf" or not array.size:
        return 0.0
    sizes = np.abs(array.astype(np.float64, copy=False))
    return float(sizes.max(initial=0.0, where=np.isfinite(sizes)))


def _compare(array: Array, expected: Expected, type: TensorType) -> Finding:
    if array.shape != expected.array.shape:
        return _broken(f"shape {list(array.shape)}, the oracle has {list(expected.array.shape)}")
    if expected.budget is None:
        return _compare_exact(array, expected)
    return _compare_floats(array.astype(np.float64), expected, expected.budget, type.dtype)


def _broken(note: str) -> Finding:
    return Finding(float("inf"), float("inf"), note)


def _compare_exact(array: Array, expected: Expected) -> Finding:
    wrong = array != expected.array
    for variant in expected.variants:
        wrong &= array != variant
    if not wrong.any():
        return Finding(0.0, 0.0)
    texts = DType.of(array.dtype) is DType.STRING
    error = (
        np.inf if texts else float(np.abs(array.astype(np.float64) - expected.array.astype(np.float64))[wrong].max())
    )
    where = tuple(int(i) for i in np.argwhere(wrong)[0])
    note = (
        f"{int(wrong.sum())} of {wrong.size} differ; at {list(where)} it is {array[where]}, not {expected.array[where]}"
    )
    return Finding(error, float("inf"), note)


def _compare_floats(array: Array, expected: Expected, budget: Array, dtype: DType) -> Finding:
    wanted = expected.array
    with np.errstate(all="ignore"):
        rounded = wanted.astype(dtype.numpy).astype(np.float64)
    finite = np.isfinite(rounded)
    same = (array == rounded) | (np.isnan(array) & np.isnan(rounded))
    misplaced = ~same & ~(finite & np.isfinite(array)) & np.isfinite(budget)
    if misplaced.any():
        where = tuple(int(i) for i in np.argwhere(misplaced)[0])
        return _broken(f"NaN or infinity: at {list(where)} it is {array[where]}, not {rounded[where]}")
    finite &= np.isfinite(array)
    error = np.where(finite, np.abs(np.where(finite, array, 0) - np.where(finite, wanted, 0)), 0.0)
    if not error.size or not error.any():
        return Finding(0.0, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        used = np.where(error == 0, 0.0, error / budget)
    worst = np.unravel_index(int(used.argmax()), used.shape)
    share = float(used[worst])
    note = "" if share <= 1 else f"at {[int(i) for i in worst]} it is {array[worst]:.8g}, not {wanted[worst]:.8g}"
    if expected.whole:
        together = float(np.sqrt(np.square(error).mean())) / expected.whole
        if together > max(share, 1):
            note = f"all together: the root mean square of the errors is {together * expected.whole:.3g}"
        share = max(share, together)
    places = (int(used.argmax()), int(error.argmax()))
    return Finding(float(error.max()), share, note, worst=places)
