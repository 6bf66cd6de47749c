"""Assertions that compare an array with the oracle's, and a model on every backend with the float64 oracle."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagir.equivalence import verify
from dagir.equivalence.targets import is_side, sides
from dagir.equivalence.verification import BACKENDS
from dagir.errors import ArgumentError
from dagir.ir.graph import Graph
from dagir.ir.nest import flatten
from dagir.ir.types import Array, DType
from dagir.modeling.model import Model
from dagir.runtime.backend import backend, graph_of
from dagir.support.backend_names import NUMPY


def assert_close(actual: Array, expected: Array, what: str, dtype: DType = DType.FLOAT32) -> None:
    """Assert that two arrays are equal: floats up to 84 * eps * scale (1e-5 * scale for float32), other dtypes exactly.

    scale: the largest absolute value of the oracle's array, at least 1. actual: the answer. expected: the oracle's
    answer. what: the name in the message. dtype: the dtype of eps. Raises AssertionError.

    >>> dagir.testing.assert_close(np.float32(0.1 + 0.2), np.float64(0.3), "the sum")
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, the oracle has {expected.shape}"
    if not DType.of(expected.dtype).is_float:
        assert np.array_equal(actual, expected), f"{what}: values differ\n{actual}\n{expected}"
        return
    wide = actual.astype(np.float64)
    assert np.array_equal(np.isnan(wide), np.isnan(expected)), f"{what}: NaN in other places"
    finite = np.isfinite(expected)
    assert np.array_equal(wide[~finite], expected[~finite], equal_nan=True), f"{what}: infinities differ"
    if finite.any():
        scale = max(1.0, float(np.abs(expected[finite]).max())) if expected[finite].size else 1.0
        error = float(np.abs(wide[finite] - expected[finite]).max())
        allowed = 84 * dtype.eps * scale
        assert error <= allowed, f"{what}: error {error:.3g} > {allowed:.3g} at scale {scale:.3g}"


def assert_equivalent(
    model: Model | Graph,
    feeds: Any = None,
    backends: Any = BACKENDS,
    *,
    seed: int = 0,
) -> None:
    """Assert that every backend agrees with the float64 oracle; the message is the report, with the first wrong node.

    feeds: what an executable takes; the tolerance is that of `assert_close`. Answers that exceed it, such as small
    answers from terms that cancel, are judged by the error budget of the graph. Without feeds, dagir.verify draws
    inputs, and the error budget is used.

    backends: what dagir.verify takes; another model or an executable may be passed in place of the feeds.

    >>> x = dagir.Input((3,))
    >>> dagir.testing.assert_equivalent(dagir.Model(x, layers.Dense(2)(x)), backends=["numpy"])
    """
    if is_side(feeds):
        feeds, backends = None, feeds
    if feeds is None:
        report = verify(model, backends, seed=seed)
        assert report.ok, f"the backends differ by more than rounding explains\n{report}"
        return
    exes = sides(model, backends, {})
    if not exes:
        raise ArgumentError("assert_equivalent was given no backend to compare")
    given = list(feeds) if isinstance(feeds, tuple) else feeds
    oracle = flatten(backend(NUMPY).lower(model, precision="float64")(given))
    types = [value.type for value in graph_of(model).outputs]
    doubtful = {}
    for name, exe in exes.items():
        found = flatten(exe(given))
        for place, (got, want, type) in enumerate(zip(found, oracle, types, strict=True)):
            assert DType.of(got.dtype) is type.dtype, f"{name} output {place}: dtype {got.dtype}, declared {type.dtype}"
            assert_close(got, want, f"{name} output {place}", type.dtype)
            if type.dtype.is_float and not _is_near(got, want, type.dtype):
                doubtful[name] = exe
    if doubtful:
        report = verify(model, doubtful, given, seed=seed)
        assert report.ok, f"the backends differ by more than rounding explains\n{report}"


def _is_near(actual: Array, expected: Array, dtype: DType) -> bool:
    """Whether the error is small relative to the oracle's scale, also if that scale is below 1."""
    finite = np.isfinite(expected)
    wanted = expected[finite]
    error = np.abs(actual.astype(np.float64)[finite] - wanted).max(initial=0)
    return bool(error <= 84 * dtype.eps * np.abs(wanted).max(initial=0))
