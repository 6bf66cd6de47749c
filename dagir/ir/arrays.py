"""Arrays of weights: shape and dtype checks, read-only copies, warnings about NaN and infinity."""

from __future__ import annotations

import math
import mmap
import warnings
from collections.abc import Iterable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dagir.errors import ArgumentError, NonFiniteWarning, ShapeError
from dagir.ir.types import Array, TensorType
from dagir.support.location import user_line

_WORTH_RELEASING = 1 << 16  # bytes
_SMALL = 1 << 12  # elements
_PART = 1 << 16  # elements: NumPy copies what it multiplies where a file does not align it


def frozen(array: Array) -> Array:
    """Make an array read-only, so that a weight or constant takes it without a copy. The caller is its only owner."""
    base: object = array
    while isinstance(base, np.ndarray):
        base.flags.writeable = False
        base = base.base
    return array


def owned(array: Array) -> Array:
    """A read-only array of the same numbers: a copy if the given one can be written to, else the array itself."""
    base: object = array
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return frozen(array.copy())
        base = base.base
    return array


def fitting(name: str, type: TensorType, given: npt.ArrayLike) -> Array:
    """The array in the dtype of the weight, read-only: see `owned`. Raises ShapeError, ArgumentError."""
    try:
        array = np.asarray(given)
    except ValueError:
        raise ArgumentError(f"weight {name!r} takes one array, got rows of different lengths") from None
    if array.dtype.kind not in "fiubV" or (array.dtype.kind == "V" and array.dtype.names):  # V: bfloat16
        raise ArgumentError(f"weight {name!r} takes numbers, got {_what(given, array)}")
    if array.shape != type.shape:
        raise ShapeError(
            f"weight {name!r} has shape {type.shape}, got an array of shape {array.shape}",
            remedy="give weights in the order and shapes of layer.weights",
        )
    cast = array.astype(type.dtype.numpy, copy=False)
    return owned(cast) if cast is array or cast.base is not None else frozen(cast)


def _what(given: object, array: Array) -> str:
    return f"an array of {array.dtype}" if isinstance(given, np.ndarray) else repr(given)[:60]


def not_finite(array: Array) -> str:
    """The NaN and infinite numbers of an array, as text: "3 NaN and 1 infinite of 8 numbers"; "" for none."""
    if array.dtype.kind in "iub" or _is_finite(array):
        return ""
    nan = int(np.isnan(array).sum())
    infinite = int(np.isinf(array).sum())
    counts = [f"{count} {what}" for count, what in ((nan, "NaN"), (infinite, "infinite")) if count]
    return f"{' and '.join(counts)} of {array.size} numbers" if counts else ""


def _is_finite(array: Array) -> bool:
    """A quick check without a copy: whether the sum is finite. False also where the sum of huge numbers overflows."""
    if array.size <= _SMALL:
        return bool(np.isfinite(array).all())
    with np.errstate(over="ignore", invalid="ignore"):
        if array.dtype in (np.float32, np.float64) and array.flags.c_contiguous:
            flat = array.reshape(-1)
            parts = (flat[start : start + _PART] for start in range(0, flat.size, _PART))
            if all(math.isfinite(np.dot(part, part)) for part in parts):  # five times as fast as the sum
                return True
        return math.isfinite(float(array.sum(dtype=np.float64)))


def release(array: Array) -> None:
    """Free the memory pages of the mapped file behind an array; a later read loads them from the file again."""
    base: object = array if array.nbytes >= _WORTH_RELEASING else None
    while isinstance(base, np.ndarray):
        base = base.base
    base = base.obj if isinstance(base, memoryview) else base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") and memoryview(base).readonly:
        base.madvise(mmap.MADV_DONTNEED)


def warn_if_not_finite(name: str, array: Array) -> bool:
    """Warn, at the user's line, of a weight that holds NaN or infinity; returns whether it holds none."""
    found = not_finite(array)
    if found:
        message = NonFiniteWarning(f"weight {name!r} holds {found}")
        where = user_line()
        warnings.warn_explicit(
            message, NonFiniteWarning, where.file if where else "dagir", where.line if where else 1, registry=None
        )
    return not found


class _Weight(Protocol):
    @property
    def array(self) -> Array: ...

    def warn_if_not_finite(self) -> None: ...


def warn_of(weights: Iterable[_Weight]) -> None:
    """The same for several weights."""
    for weight in weights:
        weight.warn_if_not_finite()
        release(weight.array)
