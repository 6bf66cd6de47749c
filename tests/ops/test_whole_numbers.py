"""Whole numbers at the ends of their dtypes, where what stands between may overflow."""

from __future__ import annotations

import numpy as np
import pytest

import dagir


@pytest.mark.parametrize("backend", ["numpy", "onnx"])
@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16"])
def test_floor_division_and_its_rest(dtype, backend):
    ends = np.iinfo(dtype)
    signed = [-1, -2, -7, ends.min + 1] if ends.min else []
    numbers = np.array([ends.min, ends.max - 1, ends.max, 0, 1, 2, 5, 7, *signed], dtype)
    divisors = np.array([2, 3, 7, *([-3] if signed else [])], dtype)
    x1, x2 = (grid.ravel() for grid in np.meshgrid(numbers, divisors))
    x, y = dagir.Input((), dtype=dtype), dagir.Input((), dtype=dtype)
    quotient, rest = dagir.lower(dagir.Model([x, y], [x // y, x % y]), backend)([x1, x2])
    assert np.array_equal(quotient, x1 // x2)
    assert np.array_equal(rest, x1 % x2)
