"""Passes on what bodies read, and on new axes."""

from __future__ import annotations

import dagir
from dagir import layers, ops
from dagir.passes import CaptureLeaves, DropIdentities, ExpandEarly


def kinds(graph):
    return [type(node.op).__name__ for node in graph.nodes]


def test_what_a_body_is_given_is_read_in_it():
    x, which = dagir.Input(batch_shape=(2, 3), name="x"), dagir.Input(batch_shape=(), dtype="bool", name="which")
    first, second = layers.Dense(4, name="first"), layers.Dense(4, name="second")
    model = dagir.Model([x, which], ops.cond(which, lambda: first(x), lambda: second(x)))
    graph = CaptureLeaves()(model.graph)
    (node,) = [node for node in graph.nodes if isinstance(node.op, ops.If)]
    for body, layer in ((node.op.then_branch, first), (node.op.else_branch, second)):
        read = {value.source for inner in body.nodes for value in inner.inputs if value is not None}
        assert set(layer.weights) <= read
        assert not set(body.inputs) & {weight.value for weight in layer.weights}
    assert CaptureLeaves()(graph) is graph
    assert dagir.verify(model, ["onnx", "numpy"]).ok


def test_a_new_axis_comes_before_the_broadcast():
    x = dagir.Input(("time",), name="x")
    wide = ops.broadcast_to(ops.reshape(x, (-1, 1)), (*ops.reshape(x, (-1, 1)).type.shape[:1], 3))
    model = dagir.Model(x, ops.expand_dims(wide, 2))
    assert kinds(ExpandEarly()(model.graph))[-1] == "BroadcastTo"
    assert dagir.verify(model, ["onnx"]).ok


def test_slices_of_different_axes_are_one():
    x = dagir.Input((6, 7), name="x")
    model = dagir.Model(x, x[:, 1:5][:, :, ::2])
    assert kinds(DropIdentities()(model.graph)) == ["Slice"]
    again = x[:, 1:5][:, 1:]
    assert kinds(DropIdentities()(dagir.Model(x, again).graph)) == ["Slice", "Slice"]
    assert dagir.verify(model, ["onnx"]).ok
