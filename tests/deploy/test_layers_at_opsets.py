"""Every layer at the oldest and the newest opset that are offered, on onnxruntime against the float64 oracle."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from dagir.ir.nest import flatten
from dagir.testing import assert_close
from examples import EXAMPLES, LAYERS


@pytest.mark.parametrize("opset", [18, 24])
@pytest.mark.parametrize("name", LAYERS)
def test_onnxruntime_takes_every_layer(name, opset):
    example = EXAMPLES[name]
    inputs = [dagir.Input(shape, dtype=example.dtype, name=f"x{place}") for place, shape in enumerate(example.shapes)]
    layer = example.make(dagir, name)
    model = dagir.Model(inputs, example.call(layer, inputs))
    rng = np.random.default_rng(0)
    for weight in () if example.fixed else model.weights:
        weight.assign(rng.uniform(0.2, 1.5, weight.shape))
    shapes = [(3, *(5 if size is None else size for size in shape)) for shape in example.shapes]
    if example.dtype == "string":
        feeds = [np.array(list("abcde"))[rng.integers(0, 5, s)].astype(dagir.DType.STRING.numpy) for s in shapes]
    elif example.dtype == "float32":
        feeds = [rng.uniform(-2, 2, shape).astype("float32") for shape in shapes]
    else:
        feeds = [rng.integers(0, example.integers, shape).astype(example.dtype) for shape in shapes]
    wanted = flatten(dagir.lower(model, "numpy", precision="float64")(feeds))
    found = flatten(dagir.lower(model, "onnx", opset=opset)(feeds))
    for got, want in zip(found, wanted, strict=True):
        assert_close(got, want, f"{name} at opset {opset}")
