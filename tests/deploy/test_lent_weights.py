"""Weights that onnxruntime reads in the memory of the model, where its optimizer moves what is computed with them."""

from __future__ import annotations

import pytest

import dagir
from dagir import ops


class Weighted(dagir.Layer):
    """perm, then an elementwise operation with a weight, then back."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def build(self, input_shape):
        self.weight = self.add_weight(shape=(20, 20), initializer="random_normal", name="weight")

    def call(self, x):
        moved = ops.transpose(ops.tanh(x), (0, 2, 1))
        return ops.transpose(ops.exp(self.function(moved, self.weight)), (0, 2, 1))


@pytest.mark.parametrize("function", [ops.add, ops.multiply, ops.maximum], ids=lambda f: f.__name__)
def test_a_weight_between_transposes_is_read_in_its_order(function):
    x = dagir.Input((20, 20), name="x")
    model = dagir.Model(x, Weighted(function)(x))
    report = dagir.verify(model, ["onnx"])
    assert report.ok, str(report)
