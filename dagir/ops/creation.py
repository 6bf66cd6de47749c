"""Values that are given by their shape: zeros, ones, full, and those shaped like another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dagir.errors import ArgumentError
from dagir.graph import Constant, Value, as_value
from dagir.ops.shape import broadcast_to
from dagir.types import DType


def full(shape: int | Sequence[Any], fill_value: float, dtype: Any = None) -> Value:
    """fill_value everywhere, float32 unless dtype says otherwise; sizes may be named, as ops.shape(x) gives them."""
    sizes: list[Any] = list(shape) if isinstance(shape, (list, tuple)) else [shape]
    unknown = [axis for axis, size in enumerate(sizes) if size is None]
    if unknown:
        raise ArgumentError(
            f"axis {unknown[0]} of the shape {tuple(sizes)} is None", remedy=f"use ops.shape(x)[{unknown[0]}] for it"
        )
    value = np.asarray(fill_value, (DType.FLOAT32 if dtype is None else DType.of(dtype)).numpy)
    if all(isinstance(size, (int, np.integer)) for size in sizes):
        return Constant(np.full([int(size) for size in sizes], value)).value
    return broadcast_to(Constant(value).value, sizes)


def zeros(shape: int | Sequence[Any], dtype: Any = None) -> Value:
    """0 everywhere."""
    return full(shape, 0, dtype)


def ones(shape: int | Sequence[Any], dtype: Any = None) -> Value:
    """1 everywhere."""
    return full(shape, 1, dtype)


def full_like(x: Any, fill_value: float, dtype: Any = None) -> Value:
    """fill_value in the shape of x, and in its dtype unless another is given."""
    value = as_value(x)
    return full(value.type.shape, fill_value, value.dtype if dtype is None else dtype)


def zeros_like(x: Any, dtype: Any = None) -> Value:
    """0 in the shape of x."""
    return full_like(x, 0, dtype)


def ones_like(x: Any, dtype: Any = None) -> Value:
    """1 in the shape of x."""
    return full_like(x, 1, dtype)
