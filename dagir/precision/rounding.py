"""Arrays as a narrow dtype holds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from dagir.errors import ArgumentError
from dagir.ir.types import Array, DType

Narrow: TypeAlias = Callable[[Array], Array]
"""A float64 array as a narrow dtype holds it, in float64."""

PRECISIONS = {"float16": DType.FLOAT16, "bfloat16": DType.BFLOAT16, "mixed": DType.FLOAT16}
"""The dtype that each word for a precision narrows to."""


def dtype_of(precision: object) -> DType:
    """The dtype that a precision narrows to. Raises ArgumentError."""
    found = PRECISIONS.get(precision) if isinstance(precision, str) else None
    if found is None:
        raise ArgumentError(
            f"{precision!r} is no precision that dagir narrows to", remedy=f"use one of {', '.join(PRECISIONS)}"
        )
    return found


def narrowed(array: Array, dtype: DType) -> Array:
    """Rounded to the dtype, in float64; too large numbers become infinite. Other arrays are returned as they are."""
    if array.dtype.kind in "iubTOUS":
        return array
    with np.errstate(all="ignore"):
        return array.astype(np.float32).astype(dtype.numpy).astype(np.float64)
