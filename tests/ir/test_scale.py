"""A chain and a ladder of 100,000 nodes pass through everything but a framework, without a recursion error."""

from __future__ import annotations

import sys
from functools import partial

import pytest

import dagir
from dagir import ops
from dagir.ir.rewriter import structurally_equal
from dagir.passes import DEPLOY, Inline, run
from dagir.runtime.backend import signature
from dagir_onnx.lowering import model_proto
from effort import rounds

NODES = 100_000


def chain(x):
    for _ in range(NODES):
        x = ops.tanh(x)
    return x


def ladder(x):
    y = x
    for _ in range(NODES):
        y = y + x
    return y


@pytest.mark.parametrize("shape", [chain, ladder])
def test_a_hundred_thousand_nodes(shape):
    limit = sys.getrecursionlimit()
    x = dagir.Input((8,), name="x")
    model = dagir.Model(x, shape(x))
    assert len(model.graph.nodes) == NODES
    assert dagir.check(model.graph) is model.graph
    optimized = run(model.graph, DEPLOY)
    assert structurally_equal(optimized, model.graph)
    assert str(model.graph).count("\n") == NODES + 2
    proto, _ = model_proto(optimized, signature(model), 21)
    assert len(proto.graph.node) == NODES
    assert sys.getrecursionlimit() == limit


def sums(count):
    x = y = dagir.Input((4,), name="x")
    for _ in range(count):
        y = y + 1.0
    return dagir.Model(x, y)


def nested(depth):
    x = dagir.Input((4,))
    model = dagir.Model(x, x + 1)
    for _ in range(depth):
        x = dagir.Input((4,))
        model = dagir.Model(x, model(x) + 1)
    return model


@pytest.mark.parametrize(
    "work",
    [
        lambda size: sums(size).get_config,
        lambda size: partial(dagir.clone, sums(size)),
        lambda size: partial(Inline(), nested(size).graph),
    ],
    ids=["get_config", "clone", "inline"],
)
def test_twice_the_size_is_twice_the_work(work):
    small, large = (rounds(work(size)) for size in (200, 400))
    assert large < 2.2 * small
