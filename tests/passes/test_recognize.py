"""Formulas that were written out become the ops that they are; formulas that are nearly so stay."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
import pytest
from test_each_pass import check_pass, kinds

import dagir
from dagir import ops
from dagir.ir.graph import Graph
from dagir.passes import DEPLOY, Recognize, run


def series():
    return dagir.Input((5, 7), name="x")


def cubic(x):
    return x + 0.044715 * x**3.0


EXACT = {
    "usual": lambda x: 0.5 * x * (1.0 + ops.erf(x / sqrt(2))),
    "halves inside": lambda x: x * (0.5 + 0.5 * ops.erf(x * sqrt(0.5))),
    "halved last": lambda x: (x * (ops.erf(x / sqrt(2)) + 1.0)) / 2.0,
    "negated twice": lambda x: (-x) * (1.0 + ops.erf(sqrt(0.5) * x)) * -0.5,
}
BY_TANH = {
    "usual": lambda x: 0.5 * x * (1.0 + ops.tanh(sqrt(2 / pi) * cubic(x))),
    "products": lambda x: x * 0.5 * (ops.tanh((0.044715 * x * x * x + x) * sqrt(2 / pi)) + 1.0),
    "factored": lambda x: (0.5 + 0.5 * ops.tanh(sqrt(2 / pi) * x * (1.0 + 0.044715 * ops.square(x)))) * x,
}


@pytest.mark.parametrize("form", EXACT.values(), ids=EXACT.keys())
def test_gelu(form):
    x = series()
    check_pass(Recognize(), Graph([x], [form(x)]), Graph([x], [ops.gelu(x, approximate=False)]))


@pytest.mark.parametrize("form", BY_TANH.values(), ids=BY_TANH.keys())
def test_gelu_by_tanh(form):
    x = series()
    check_pass(Recognize(), Graph([x], [form(x)]), Graph([x], [ops.gelu(x, approximate=True)]))


def test_swish():
    x = series()
    check_pass(Recognize(), Graph([x], [ops.sigmoid(x) * x]), Graph([x], [ops.silu(x)]))
    check_pass(Recognize(), Graph([x], [x * ops.hard_sigmoid(x)]), Graph([x], [ops.hard_silu(x)]))


def scaled(y):
    return y * np.arange(1, 8, dtype="float32") + np.arange(7, dtype="float32")


def test_layer_normalization():
    x = series()
    centred = x - ops.mean(x, -1, keepdims=True)
    root = ops.sqrt(ops.mean(ops.square(centred), -1, keepdims=True) + 1e-3)
    vectors = [dagir.Constant(np.arange(start, start + 7, dtype="float32")) for start in (1, 0)]
    epsilon = float(np.float32(1e-3))  # as the formula holds it
    expected = Graph([x], [ops.layer_normalization(x, *vectors, epsilon=epsilon)])
    check_pass(Recognize(), Graph([x], [scaled(centred / root)]), expected)
    inverse = ops.rsqrt(1e-3 + ops.var(x, -1, keepdims=True))
    check_pass(Recognize(), Graph([x], [scaled((x - ops.mean(x, -1, keepdims=True)) * inverse)]), expected)
    both = (x - ops.mean(x, (1, 2), keepdims=True)) / ops.sqrt(ops.var(x, (1, 2), keepdims=True) + 1.0)
    check_pass(Recognize(), Graph([x], [both]), Graph([x], [ops.layer_normalization(x, axis=(1, 2), epsilon=1.0)]))


def test_what_is_nearly_so_stays():
    x, other = series(), dagir.Input((5, 7), name="other")
    mean = ops.mean(x, -1, keepdims=True)
    for y in (
        0.5 * x * (1.0 + ops.erf(x / 1.414)),
        0.5 * x * (1.1 + ops.erf(x / sqrt(2))),
        0.6 * x * (1.0 + ops.erf(x / sqrt(2))),
        0.5 * other * (1.0 + ops.erf(x / sqrt(2))),
        0.5 * x * (1.0 + ops.tanh(sqrt(2 / pi) * (x + 0.0447 * x**3.0))),
        2.0 * x * ops.sigmoid(x),
        x * ops.sigmoid(other),
        x * ops.sigmoid(2.0 * x),
        (x - mean) / ops.sqrt(ops.var(x, 1, keepdims=True) + 1e-3),
        (x - mean) / ops.sqrt(ops.var(other, -1, keepdims=True) + 1e-3),
        (other - mean) / ops.sqrt(ops.var(x, -1, keepdims=True) + 1e-3),
        (x - mean) / (ops.sqrt(ops.var(x, -1, keepdims=True)) + 1e-3),
        ops.layer_normalization(x) * 2.0,
        ops.layer_normalization(x) * ops.mean(x, (0, 1)),
    ):
        graph = Graph([x, other], [y])
        assert Recognize()(graph) is graph, str(graph)


def test_a_vector_along_other_axes_than_those_of_the_norm_stays():
    x, vector = dagir.Input((5, 5), name="x"), np.arange(5, dtype="float32")
    for y in (ops.layer_normalization(x, axis=1) * vector, ops.layer_normalization(x, axis=1) + vector):
        graph = Graph([x], [y])
        assert Recognize()(graph) is graph, str(graph)


def test_the_pipeline_leaves_one_op():
    x = series()
    graph = Graph([x], [0.5 * x * (1.0 + ops.erf(x / sqrt(2)))])
    assert kinds(run(graph, DEPLOY)) == ["Gelu"]
    assert kinds(run(graph, DEPLOY, disable=["recognize"])).count("Erf") == 1
