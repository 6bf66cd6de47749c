"""NaN, infinities and zeros of both signs: what keras.ops says of them, on every backend."""

from __future__ import annotations

import math
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest

import dagir
from dagir import ops

NAN, INF = np.nan, np.inf
ROWS = [
    [NAN, INF, -INF, 0, -0.0, 1, -1, 0.5],
    [INF, NAN, 1, 2, 3, 4, 5, NAN],
    [-INF, -INF, INF, INF, INF, INF, -INF, -INF],
    [-INF, 0, 1, 2, 3, 4, 5, INF],
    [NAN] * 8,
    [1, 1, 2, 2, 0, -0.0, 3, -3],
]
FUNCTIONS = {
    "median": lambda o, x: o.median(x, axis=-1),
    **{
        f"quantile, {method}": lambda o, x, method=method: o.quantile(x, [0.3, 0.5], axis=-1, method=method)
        for method in ("linear", "lower", "higher", "nearest", "midpoint")
    },
    "erfc": lambda o, x: o.erfc(x),
    **{f"x**{power}": lambda o, x, power=power: x**power for power in (0.5, -0.5, 2.0, 3.0)},
    **{f"x//{divisor}": lambda o, x, divisor=divisor: x // divisor for divisor in (3.0, -3.0, INF, 0.0)},
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_is_what_keras_says(name, dtype):
    rows = np.array(ROWS, dtype)
    x = dagir.Input((8,), dtype=dtype)
    model = dagir.Model(x, FUNCTIONS[name](ops, x))
    want = np.asarray(FUNCTIONS[name](keras.ops, keras.ops.convert_to_tensor(rows)))
    for backend in ("numpy", "onnx", "keras"):
        found = dagir.lower(model, backend)(rows)
        np.testing.assert_allclose(found, want, rtol=1e-6, err_msg=backend)
        numbers = ~np.isnan(want)
        assert np.array_equal(np.signbit(found)[numbers], np.signbit(want)[numbers]), backend


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_erfc_has_its_digits_where_it_is_small(dtype):
    """1 - erf(x) has none of them from x = 4 on."""
    numbers = np.linspace(-4, 9 if dtype == "float32" else 25, 1000).astype(dtype)
    want = np.array([math.erfc(number) for number in numbers])
    x = dagir.Input((1000,), dtype=dtype)
    model = dagir.Model(x, ops.erfc(x))
    for backend in ("numpy", "onnx", "keras"):
        found = dagir.lower(model, backend)(numbers[None])[0]
        units = np.abs(found - want) / (want * np.finfo(dtype).eps)
        assert (units < 4 + 2 * numbers.astype("float64") ** 2).all(), backend  # x**2 rounds before its exponential
    assert dagir.verify(model, inputs=[numbers[None]]).ok


def test_erf_has_all_its_digits():
    rng = np.random.default_rng(0)
    ends = [0.0, -0.0, 5e-324, -1e-300, 1 / 128, 3 / 128, 6, -6, 30, INF, -INF]
    numbers = np.concatenate([*(rng.normal(scale=scale, size=500) for scale in (1e-9, 0.01, 1, 3)), ends])
    x = dagir.Input((len(numbers),), dtype="float64")
    found = dagir.lower(dagir.Model(x, ops.erf(x)), "numpy")(numbers[None])[0]
    want = np.array([math.erf(number) for number in numbers])
    assert (np.abs(found - want) <= 2 * np.spacing(np.abs(want))).all()
    assert np.array_equal(np.signbit(found), np.signbit(numbers))
