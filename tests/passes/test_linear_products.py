"""Products with weights: matrix products, with the biases after them inside."""

from __future__ import annotations

import numpy as np
import pytest
from test_each_pass import check_pass, kinds

import dagir
from dagir import layers, ops
from dagir.ir.graph import Graph
from dagir.passes import DEPLOY, LinearProducts, run
from dagir.testing.drawing import randomize


def weight(*shape):
    array = np.random.default_rng(0).normal(size=shape).astype("float32")
    return dagir.Parameter("w", dagir.TensorType(dagir.DType.FLOAT32, shape), array=array)


def test_a_product_with_a_weight_is_a_linear_map():
    x, w = dagir.Input((5, 7), name="x"), weight(7, 3)
    check_pass(LinearProducts(), Graph([x], [ops.matmul(x, w)]), Graph([x], [dagir.apply(ops.Linear(), x, w.value)]))


@pytest.mark.parametrize(
    ("equation", "shape", "expected"),
    [
        ("abc,cde->abde", (7, 2, 3), ["Linear", "Reshape"]),
        ("abc,cd->abd", (7, 3), ["Linear"]),
        ("abc,bcd->ad", (5, 7, 3), ["Reshape", "Linear"]),
        ("abc,bcde->ade", (5, 7, 3, 2), ["Reshape", "Linear", "Reshape"]),
        ("abc,dc->abd", (3, 7), ["Einsum"]),
        ("abc,bd->acd", (5, 3), ["Einsum"]),
        ("abc,bcd->abd", (5, 7, 3), ["Einsum"]),
        ("abc,cd->adb", (7, 3), ["Einsum"]),
        ("abc,cde->abed", (7, 2, 3), ["Einsum"]),
        ("abc,c->ab", (7,), ["Einsum"]),
    ],
)
def test_sums_of_products(equation, shape, expected):
    x = dagir.Input((5, 7), name="x")
    after = check_pass(LinearProducts(), Graph([x], [ops.einsum(equation, x, weight(*shape))]))
    assert kinds(after) == expected


@pytest.mark.parametrize("shape", [(2, 3), (1, 1, 2, 3), (1, 3), (3,)])
def test_the_bias_goes_inside(shape):
    x = dagir.Input((5, 7), name="x")
    before = Graph([x], [weight(*shape) + ops.einsum("abc,cde->abde", x, weight(7, 2, 3))])
    after = check_pass(LinearProducts(), before)
    assert kinds(after) == (["Linear", "Reshape"] if shape[-2:] == (2, 3) else ["Linear", "Reshape", "Add"])
    product = ops.einsum("abc,cde->abde", x, weight(7, 2, 3))
    read_twice = check_pass(LinearProducts(), Graph([x], [product + weight(2, 3), product]))
    assert kinds(read_twice) == ["Linear", "Reshape", "Add"]


def test_attention_is_made_of_matrix_products():
    x = dagir.Input(("time", 6), name="x")
    model = dagir.Model(x, layers.MultiHeadAttention(2, 3)(x, x))
    randomize(model, 1)
    after = run(model.graph, DEPLOY)
    assert "Einsum" not in kinds(after)
    assert "Add" not in kinds(after)
    array = np.random.default_rng(0).normal(size=(2, 5, 6)).astype("float32")
    expected = dagir.lower(model, "numpy", precision="float64")(array)
    np.testing.assert_allclose(dagir.lower(model, "onnx")(array), expected, atol=1e-5)
