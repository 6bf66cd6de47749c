"""The analysis of narrowing, against the truth that is found the slow way: each node narrowed alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_networks import NETWORKS, residual, with_samples

import dagir
from dagir import layers, ops, testing
from dagir.ir.types import DType
from dagir.precision.adjoints import _CHOOSING, RULES, Evaluated, adjoint
from dagir.precision.rounding import narrowed
from dagir.runtime.backend import backend
from dagir.runtime.probes import points_of


def the_slow_way(model, samples, dtype):
    """By name, how far the outputs move where one node is narrowed: one evaluation of the model for each node."""
    points = points_of(model)
    run = backend("numpy").lower(points.graph, precision="float64")
    right = run.trace([samples], lambda _, operands, apply: apply(operands, DType.FLOAT64))
    found = {}
    for name, value in points.values.items():

        def around(node, operands, apply, chosen=value.node):
            if node is not chosen:
                return apply(operands, DType.FLOAT64)
            given = [None if each is None else narrowed(each, dtype) for each in operands]
            return tuple(narrowed(each, dtype) for each in apply(given, DType.FLOAT64))

        moved = run.trace([samples], around)
        pairs = zip(moved, right, strict=True)
        found[name] = np.sqrt(np.mean([np.square(new - old).sum() / np.square(old).sum() for new, old in pairs]))
    return found


def ranks(numbers):
    return np.argsort(np.argsort(numbers, kind="stable"), kind="stable").astype(float)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("make", NETWORKS, ids=lambda make: make.__name__)
def test_the_order_of_the_nodes_is_the_true_one(make, precision):
    model, samples = with_samples(make)
    table = dagir.sensitivity(model, samples, precision)
    truth = the_slow_way(model, samples, DType(precision))
    true, found = np.array([truth[row.name] for row in table]), np.array([row.harm for row in table])
    assert np.corrcoef(ranks(true), ranks(found))[0, 1] >= 0.9
    worst = np.argsort(-true, kind="stable")[:10]
    assert worst.max() < 12  # places in the table
    big = true > true.max() / 100
    np.testing.assert_allclose(found[big], true[big], rtol=0.3)
    assert list(found) == sorted(found, reverse=True)


def test_the_whole_is_what_narrowing_all_nodes_costs():
    model, samples = with_samples(residual)
    table = dagir.sensitivity(model, samples)
    graph = points_of(model).graph
    run = backend("numpy").lower(graph, precision="float64")
    right = run.trace([samples], lambda _, operands, apply: apply(operands, DType.FLOAT64))[0]

    def around(node, operands, apply):
        given = [None if each is None else narrowed(each, DType.FLOAT16) for each in operands]
        return tuple(narrowed(each, DType.FLOAT16) for each in apply(given, DType.FLOAT64))

    moved = run.trace([samples], around)[0]
    measured = np.linalg.norm(moved - right) / np.linalg.norm(right)
    assert measured / 2 < table.whole < measured * 2


def test_ranges_overflow_and_underflow_are_told():
    x = dagir.Input((4,), name="x")
    large = ops.multiply(
        ops.square(x),
        1e5,
    )
    small = ops.exp(-ops.square(x) * 2.0)
    model = dagir.Model(x, ops.tanh(large * 1e-6) + small)
    rows = {row.name: row for row in dagir.sensitivity(model, np.float32([[1, 2, 3, 4]]))}
    multiplied = next(row for row in rows.values() if row.high > 1e6 - 1)
    assert multiplied.overflow and multiplied.harm == np.inf
    assert rows["exp"].underflow == 0.5 and not rows["exp"].overflow  # exp(-18) and exp(-32) are 0 in float16
    assert 0 < rows["exp"].high < 1 and rows["exp"].low == pytest.approx(np.exp(-32.0))


def test_bodies_count_as_one_node():
    x = dagir.Input((4, 5, 2), name="x")
    model = dagir.Model(x, layers.Dense(2)(layers.Flatten()(layers.ConvLSTM1D(3, 3)(x))))
    table = dagir.sensitivity(model, np.random.default_rng(0).standard_normal((8, 4, 5, 2)).astype("float32"))
    assert any(row.op in ("Scan", "Loop") and row.harm > 0 for row in table)


def test_the_table_prints_and_becomes_json():
    model, samples = with_samples(residual)
    table = dagir.sensitivity(model, {"image": samples})
    assert len(table) == len(json.loads(table.to_json())["nodes"]) == len(list(table))
    assert table.rows[0].name[:12] in str(table)
    with pytest.raises(AttributeError):
        table.rows[0].harm = 0.0


def test_what_has_no_measure_is_refused():
    x = dagir.Input((4,), name="x")
    with pytest.raises(dagir.ArgumentError, match="no output of the model holds floats"):
        dagir.sensitivity(dagir.Model(x, ops.argmax(x, axis=-1)))
    with pytest.raises(dagir.ArgumentError, match="no precision"):
        dagir.sensitivity(dagir.Model(x, ops.tanh(x)), precision="float8")


CHECKED = (
    *RULES,
    *_CHOOSING,
    *(ops.Add, ops.Multiply, ops.Divide, ops.Maximum, ops.Where, ops.Tanh, ops.Gelu, ops.PRelu, ops.Sigmoid),
    *(ops.Concatenate, ops.Gather, ops.Slice, ops.Transpose, ops.Tile, ops.Pad, ops.Split, ops.Embedding),
)


@pytest.mark.parametrize("op", CHECKED, ids=lambda op: op.__name__)
def test_adjoints_are_those_of_the_derivative(op):
    """g . J u == J^T g . u, J u from a difference of two evaluations."""

    @given(testing.cases(op), st.integers(0, 2**16))
    def agrees(case, seed):
        rng = np.random.default_rng(seed)
        arrays = [None if a is None else _off_the_kinks(a, rng) for a in case.arrays]
        while arrays[-1] is None:
            arrays.pop()
        graph, _ = case.graph()
        (node,) = graph.nodes
        seen = {}

        def around(node, operands, apply):
            seen["apply"] = lambda given: apply(given, DType.FLOAT64)
            return seen["apply"](operands)

        backend("numpy").lower(graph, precision="float64").trace(case.graph()[1], around)
        results = seen["apply"](arrays)
        at = Evaluated(node, arrays, list(results), seen["apply"])
        worth = [rng.standard_normal(r.shape) if r.dtype.kind == "f" else None for r in results]
        for place, (array, value) in enumerate(zip(arrays, node.inputs, strict=True)):
            if array is None or not value.dtype.is_float or not array.size:
                continue
            found = adjoint(at, place, worth, rng)
            assert found.shape == array.shape
            direction = rng.standard_normal(array.shape)
            step = 1e-7
            high, low = (
                at.with_operand(place, array + step * direction),
                at.with_operand(place, array - step * direction),
            )
            told = sum(
                float((g * (a - b)).sum()) / (2 * step)
                for g, a, b in zip(worth, high, low, strict=True)
                if g is not None
            )
            scale = np.abs(found * direction).sum() + 1e-3
            if np.isfinite(told) and len(RULES) and _is_exact(node.op, place):
                assert float((found * direction).sum()) == pytest.approx(told, abs=1e-4 * scale)

    agrees()


def _is_exact(op, place):
    """Not estimated from random directions: rules of norms know no computed weights."""
    return place == 0 or not isinstance(op, (ops.BatchNorm, ops.GroupNorm, ops.RMSNorm, ops.ConvTranspose))


def _off_the_kinks(array, rng):
    if array.dtype.kind in "iubT":
        return array
    wide = array.astype(np.float64)
    return wide + np.where(wide >= 0, 1, -1) * rng.uniform(1e-3, 1e-2, wide.shape)
