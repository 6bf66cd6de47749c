"""Dtypes that onnxruntime has no kernels for: one error that names the node, and what runs does so in its own dtype."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from dagir import layers
from dagir.errors import BackendError
from dagir.ir.types import DType
from dagir.testing import assert_close

LAYERS = {
    "dense": lambda dtype: layers.Dense(3, dtype=dtype, name="dense"),
    "conv": lambda dtype: layers.Conv1D(3, 2, dtype=dtype, name="conv"),
    "lstm": lambda dtype: layers.LSTM(3, dtype=dtype, name="lstm"),
    "norm": lambda dtype: layers.LayerNormalization(dtype=dtype, name="norm"),
    "batch": lambda dtype: layers.BatchNormalization(dtype=dtype, name="batch"),
    "shrink": lambda dtype: layers.Activation("soft_shrink", dtype=dtype, name="shrink"),
    "pool": lambda dtype: layers.AveragePooling1D(2, dtype=dtype, name="pool"),
}
REFUSED = {("float64", "conv")}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("name", LAYERS)
def test_every_float_runs_or_is_refused_with_the_node_named(name, dtype):
    x = dagir.Input((5, 2), dtype=dtype, name="x")
    model = dagir.Model(x, LAYERS[name](dtype)(x))
    feed = np.random.default_rng(0).normal(size=(3, 5, 2)).astype(DType(dtype).numpy)
    expected = dagir.lower(model, "numpy", precision="float64")(feed)
    assert_close(dagir.lower(model, "numpy")(feed), expected, "numpy", DType(dtype))
    exe = dagir.lower(model, "onnx")
    if (dtype, name) not in REFUSED:
        assert_close(exe(feed), expected, "onnx", DType(dtype))
        return
    with pytest.raises(BackendError) as refused:
        exe(feed)
    assert str(refused.value).startswith("onnxruntime has no cpu kernel for ")
    assert dict(refused.value.facts)["layer"] == name
    assert f"node '{name}/" in str(refused.value)
