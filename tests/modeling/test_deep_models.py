"""Models nested in models, and chains, deeper than Python's recursion limit."""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

import dagir
from dagir import ops


def test_models_in_models_run_on_numpy():
    depth = sys.getrecursionlimit()
    x = dagir.Input((2,))
    model = dagir.Model(x, x + 1)
    for _ in range(depth):
        x = dagir.Input((2,))
        model = dagir.Model(x, model(x) + 1)
    assert np.array_equal(dagir.lower(model, "numpy")(np.zeros((1, 2), "float32")), np.full((1, 2), depth + 1))


def test_an_error_deep_inside_names_its_node():
    x = dagir.Input((2,), dtype="int32")
    model = dagir.Model(x, ops.take(np.arange(3.0), x, axis=0))
    for _ in range(3):
        x = dagir.Input((2,), dtype="int32")
        model = dagir.Model(x, model(x))
    with pytest.raises(dagir.FeedError, match="Gather"):
        dagir.lower(model, "numpy")(np.array([[0, 7]], "int32"))


def test_a_chain_that_is_too_deep_for_keras_is_an_error_with_a_remedy():
    x = y = dagir.Input((2,))
    for _ in range(sys.getrecursionlimit()):
        y = y + 1.0
    with pytest.raises(dagir.BackendError, match="recursion limit") as caught:
        dagir.to_keras(dagir.Model(x, y))
    assert "setrecursionlimit" in str(caught.value)
