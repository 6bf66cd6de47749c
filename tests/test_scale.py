"""A chain and a ladder of 100,000 nodes pass through everything but a framework, without a recursion error."""

from __future__ import annotations

import sys

import pytest

import dagir
from dagir import ops
from dagir.backend import signature
from dagir.passes import DEPLOY, run
from dagir.rewriting import structurally_equal
from dagir_onnx.lowering import model_proto

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
