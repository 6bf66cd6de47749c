"""How a pipeline runs: the graph is checked between passes, and what a pass raises names the pass."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from dagir import ops
from dagir.ir.graph import Graph, Node
from dagir.passes import DEPLOY, TRAIN, DropIdentities, Inline, run
from dagir.passes.pipeline import Pass, check_between_passes
from dagir.runtime.backend import backend


class Unsound(Pass):
    """Makes a graph whose node has a type that its op does not give."""

    name = "unsound"

    def __call__(self, graph):
        """The first node, with the type of something else."""
        first = graph.nodes[0]
        wrong = Node(first.op, first.inputs, (first.output.type.with_shape((7,)),))
        return Graph(graph.inputs, wrong.outputs)


class Refuses(Pass):
    """Raises what a pass raises for a model that it cannot take."""

    name = "refuses"

    def __call__(self, graph):
        """No graph."""
        raise dagir.UnsupportedOp("this one is not taken")


class Fails(Pass):
    """Has a fault."""

    name = "fails"

    def __call__(self, graph):
        """No graph."""
        return graph.nodes[99]


def graph_of_two():
    x = dagir.Input(batch_shape=(2, 3), name="x")
    return Graph([x], [ops.exp(ops.negative(x))])


STEPS = ((Inline(), "as ever"), (DropIdentities(), "as ever"))


def test_the_graph_is_checked_between_passes():
    pipeline = (*STEPS, (Unsound(), "a fault"), (Refuses(), "is not reached"))
    with pytest.raises(dagir.InvalidGraph) as caught:
        run(graph_of_two(), pipeline)
    assert dict(caught.value.facts)["pass"] == "unsound"
    assert dict(caught.value.facts)["passes before"] == "inline, drop-identities"


def test_it_is_not_where_nobody_asks_for_it():
    check_between_passes(False)
    try:
        assert run(graph_of_two(), ((Unsound(), "a fault"),)).outputs[0].shape == (7,)
    finally:
        check_between_passes()


def test_what_a_pass_refuses_names_the_pass():
    with pytest.raises(dagir.UnsupportedOp, match="this one is not taken") as caught:
        run(graph_of_two(), (*STEPS, (Refuses(), "no reason")), disable=["inline"])
    assert caught.value.facts[-2:] == [("pass", "refuses"), ("passes before", "drop-identities")]


def test_a_fault_of_a_pass_names_the_pass():
    with pytest.raises(IndexError) as caught:
        run(graph_of_two(), ((Fails(), "a fault"),))
    assert caught.value.__notes__ == ["in pass fails; passes before: none"]


def test_each_backend_says_what_passes_it_has():
    assert backend("onnx").pipeline == DEPLOY
    assert backend("keras").pipeline == TRAIN == ()
    assert backend("numpy").pipeline == ()


@pytest.mark.parametrize("backend_name", ["onnx", "keras"])
def test_no_pass_sees_what_is_before_a_cut(backend_name):
    layers = dagir.layers
    x = dagir.Input((6,))
    first = layers.Dense(4, activation="tanh", name="first")(x)
    scaled = layers.BatchNormalization(name="norm", moving_mean_initializer="ones")(first)
    model = dagir.Model(x, layers.Dense(2, name="head")(layers.ReLU(6.0, name="clip")(scaled)))
    feeds = [np.ones((2, 6), "float32"), np.full((2, 4), 9, "float32")]
    for cut in ("norm", "clip"):  # which folding and merging would reach into
        part = dagir.extract(model, ["head", "first"], inputs=[model.inputs[0], cut])
        wanted = dagir.lower(part)(*feeds)
        for found, each in zip(dagir.lower(part, backend_name)(*feeds), wanted, strict=True):
            np.testing.assert_allclose(found, each, rtol=1e-5, atol=1e-6)
        alone = dagir.extract(model, "head", inputs=cut)
        np.testing.assert_allclose(dagir.lower(alone, backend_name)(feeds[1]), wanted[0], rtol=1e-5, atol=1e-6)
