"""What the NumPy interpreter does faster gives the same numbers: chains in blocks, threads, convolutions by blocks."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import layers, ops
from dagir.equivalence.oracle import Oracle
from dagir.ir.graph import Graph, apply
from dagir.support import threads
from dagir_numpy import chains, correlation, evaluate, interpreter, pointwise
from dagir_numpy.plan import plan_of

UNARY = (
    ops.relu,
    ops.relu6,
    lambda x: ops.clip(x, -0.5, 2.0),
    ops.sigmoid,
    ops.silu,
    ops.tanh,
    ops.hard_sigmoid,
    ops.hard_silu,
    ops.leaky_relu,
    ops.gelu,
    ops.elu,
    ops.abs,
    ops.square,
    ops.erf,
)
BINARY = (ops.add, ops.subtract, ops.multiply, ops.maximum, ops.minimum)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of a few rows, so that small arrays have many; threads whatever the size."""
    for module, name, number in (
        (chains, "LEAST", 0),
        (chains, "BLOCK", 24),
        (pointwise, "BLOCK", 24),
        (correlation, "TILE", 160),
        (correlation, "GATHERED", 256),
        (correlation, "LEAST_ROWS", 3),
        (threads, "SMALL", 0),
    ):
        monkeypatch.setattr(module, name, number)
    pointwise._filled.cache_clear()
    yield
    pointwise._filled.cache_clear()


@st.composite
def networks(draw):
    """Layers, and functions of one element that read each other, rows, numbers, and a number for each image."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    channels = draw(st.sampled_from([1, 3, 8]))
    x = dagir.Input((5, 6, channels), name="x")
    gate = dagir.Input((1, 1, channels), name="gate")
    values = [x]
    for _ in range(draw(st.integers(1, 3))):
        start = values[-1]
        kind = draw(st.sampled_from(["conv", "depthwise", "dense", "norm", "none"]))
        if kind == "conv":
            w = rng.normal(size=(*draw(st.sampled_from([(1, 1), (3, 3)])), channels, channels)).astype("float32")
            values.append(ops.conv(start, w, strides=1, padding="same"))
        elif kind == "depthwise":
            values.append(ops.depthwise_conv(start, rng.normal(size=(3, 3, channels, 1)).astype("float32"), 1, "same"))
        elif kind == "dense":
            values.append(dagir.layers.Dense(channels)(start))
        elif kind == "norm":
            values.append(dagir.layers.BatchNormalization()(start))
        for _ in range(draw(st.integers(0, 4))):
            recent = st.sampled_from(values[-4:])
            if draw(st.booleans()):
                values.append(draw(st.sampled_from(UNARY))(draw(recent)))
                continue
            row = rng.normal(size=channels).astype("float32")
            pair = [draw(recent), draw(st.sampled_from([draw(recent), gate, row, np.float32(1.5)]))]
            values.append(draw(st.sampled_from(BINARY))(*(pair if draw(st.booleans()) else pair[::-1])))
    outputs = draw(st.lists(st.sampled_from(values[1:] or [ops.relu(x)]), min_size=1, max_size=2, unique=True))
    feeds = [rng.normal(size=(n := draw(st.integers(1, 3)), 5, 6, channels)), rng.normal(size=(n, 1, 1, channels))]
    return Graph([x, gate], outputs), [feed.astype("float32") * draw(st.sampled_from([1, 100])) for feed in feeds]


def one_by_one(graph, arrays, precision):
    return evaluate(graph, arrays, precision, lambda node, operands, apply: apply(operands, precision))


@given(networks(), st.sampled_from([None, dagir.DType.FLOAT64]), st.sampled_from([1, 3]))
def test_a_chain_computes_the_bits_of_its_nodes(drawn, precision, count):
    graph, arrays = drawn
    wanted = one_by_one(graph, arrays, precision)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "workers", lambda: count)
        threads._pool.cache_clear()
        found = evaluate(graph, arrays, precision)
        threads._pool.cache_clear()
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


@given(networks(), st.integers(1, 3), st.integers(0, 99))
def test_what_is_kept_of_weights_is_of_these_weights(drawn, count, seed):
    """Runs of one graph: again, with other weights, at another batch size, and again."""
    graph, arrays = drawn
    rng = np.random.default_rng(seed)
    longer = [np.repeat(array, count, axis=0) for array in arrays]
    for feeds in (arrays, arrays, longer, arrays):
        for one, other in zip(evaluate(graph, feeds), one_by_one(graph, feeds, None), strict=True):
            np.testing.assert_array_equal(one, other)
        for weight in graph.parameters:
            weight.assign(np.abs(rng.normal(size=weight.type.shape)))


def test_nodes_are_chained():
    """What is told about above happens: a residual block is two chains."""
    x = dagir.Input((8, 8, 4), name="x")
    y = dagir.layers.BatchNormalization()(dagir.layers.Conv2D(4, 3, padding="same")(x))
    y = dagir.layers.Conv2D(4, 1)(ops.relu(y))
    z = ops.relu(ops.add(y, x))
    steps = plan_of(Graph([x], [z])).steps
    assert [[type(node.op).__name__ for node in step.nodes] for step in steps] == [
        ["Conv", "BatchNorm", "Relu"],
        ["Conv", "Add", "Relu"],
    ]
    assert all(step.chain is not None and step.chain.slots == 1 for step in steps)


def test_a_relu_and_its_maximum_are_one_part_of_a_chain():
    """Not where the relu has another reader, or is an output."""
    x = dagir.Input((8, 8, 4), name="x")
    y = ops.relu(ops.square(x))
    once, twice = ops.minimum(y, 6.0), ops.add(ops.minimum(y, 6.0), y)
    for outputs, wanted in (([once], ["Square", "Clip"]), ([twice], ["Square", "Relu", "Minimum", "Add"])):
        (step,) = plan_of(Graph([x], outputs)).steps
        assert [type(move.op).__name__ for move in step.chain.moves] == wanted
    (step,) = plan_of(Graph([x], [once, y])).steps
    assert [type(move.op).__name__ for move in step.chain.moves] == ["Square", "Relu", "Minimum"]
    below = ops.minimum(ops.relu(x), -2.0)  # no more than -2, though a relu is at least 0
    arrays = [np.linspace(-3, 3, 256, dtype="float32").reshape(1, 8, 8, 4)]
    assert np.unique(evaluate(Graph([x], [below]), arrays)[0]).tolist() == [-2.0]


@given(st.data())
def test_convolutions_by_blocks(data):
    """All algorithms, on ranks 1 to 3, are the sum over the places of the kernel."""
    rank = data.draw(st.integers(1, 3))
    sizes = st.lists(st.integers(1, 3), min_size=rank, max_size=rank).map(tuple)
    kernel, strides, dilations = data.draw(sizes), data.draw(sizes), data.draw(sizes)
    groups, per_group, filters = (
        data.draw(st.integers(1, 3)),
        data.draw(st.integers(1, 3)),
        data.draw(st.integers(1, 3)),
    )
    spatial = [(k - 1) * d + data.draw(st.integers(1, 7)) for k, d in zip(kernel, dilations, strict=True)]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(data.draw(st.integers(1, 3)), *spatial, groups * per_group))
    w = rng.normal(size=(*kernel, per_group, groups * filters))
    op = ops.Conv(strides, "valid", dilations, groups)
    counts = [(n - e) // s + 1 for n, e, s in zip(spatial, op.extents(kernel), strides, strict=True)]
    wanted = np.zeros((len(x), *counts, groups, filters))
    for tap in product(*map(range, kernel)):
        parts = [
            slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, dilations, counts, strides, strict=True)
        ]
        covered = x[(slice(None), *parts)].reshape(len(x), *counts, groups, per_group)
        wanted += np.einsum("...gi,igo->...go", covered, w[tap].reshape(per_group, groups, filters))
    (found,) = evaluate(*_alone(op, x, w))
    np.testing.assert_allclose(found, wanted.reshape(*wanted.shape[:-2], -1), rtol=1e-12, atol=1e-12)


def _alone(op, *arrays):
    inputs = [dagir.Input(batch_shape=array.shape, dtype="float64") for array in arrays]
    return Graph(inputs, [apply(op, *inputs)]), arrays


def test_a_large_kernel_is_widened_in_parts(monkeypatch):
    """The float64 answer is the same, and the deviations beside it, where no weight is ever whole in float64."""
    x = dagir.Input((37,), name="x")
    model = dagir.Model(x, layers.Dense(5)(layers.Dense(64, activation="tanh")(x)))
    array = np.random.default_rng(0).normal(size=(3, 37)).astype("float32")
    whole = dagir.lower(model, "numpy", precision="float64")(array)
    (budget,) = Oracle(model, 2)([array], np.random.default_rng(0))
    monkeypatch.setattr(interpreter, "WIDENED", 0)
    monkeypatch.setattr(correlation, "WIDENED", 7 * 64 * 8)
    found = dagir.lower(model, "numpy", precision="float64")
    np.testing.assert_allclose(found(array), whole, rtol=1e-14, atol=1e-14)
    seen, in_parts = [], correlation._multiply_in_parts
    monkeypatch.setattr(correlation, "_multiply_in_parts", lambda *given: seen.append(given) or in_parts(*given))
    (again,) = Oracle(model, 2)([array], np.random.default_rng(0))
    np.testing.assert_allclose(again.budget, budget.budget, rtol=1e-4)
    assert len(seen) == 2
