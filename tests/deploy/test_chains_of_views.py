"""Squeeze, Unsqueeze and Transpose in any order: as one node of the file or as none, and the same numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import ops

VIEWS = {"Squeeze", "Unsqueeze", "Transpose"}


@st.composite
def chains(draw):
    """A value with sizes of 1 among others, and what a chain of views makes of it."""
    x = dagir.Input(batch_shape=draw(st.lists(st.sampled_from([1, 1, 2, 3]), min_size=1, max_size=4)), name="x")
    y = ops.exp(x)
    for _ in range(draw(st.integers(1, 6))):
        ones = [axis for axis, size in enumerate(y.shape) if size == 1]
        kind = draw(st.sampled_from(["expand", "transpose", *["squeeze"] * bool(ones)]))
        if kind == "squeeze":
            y = ops.squeeze(y, draw(st.sampled_from(ones)))
        elif kind == "expand" and y.ndim < 6:
            y = ops.expand_dims(y, draw(st.integers(0, y.ndim)))
        elif y.ndim:
            y = ops.transpose(y, draw(st.permutations(range(y.ndim))))
    return dagir.Model(x, ops.tanh(y) if draw(st.booleans()) else y)


@given(chains())
def test_a_chain_gives_the_same_numbers_and_no_longer_file(model):
    report = dagir.verify(model, ["onnx"], samples=2)
    assert report.ok, str(report)
    made = [node.op_type for node in dagir.to_onnx(model).graph.node if node.op_type in VIEWS]
    assert len(made) <= 3


def test_there_and_back_is_nothing():
    x = dagir.Input((3, 4), name="x")
    y = ops.exp(x)
    y = ops.squeeze(ops.transpose(ops.expand_dims(ops.transpose(y, (1, 0, 2)), 2), (1, 2, 0, 3)), 1)
    model = dagir.Model(x, ops.tanh(y))
    assert [node.op_type for node in dagir.to_onnx(model).graph.node] == ["Exp", "Tanh"]


def test_a_recurrence_that_is_time_major_needs_no_transpose():
    """As PyTorch writes an LSTM: [time, batch, ...] in and out, states with an axis for the direction."""
    steps = dagir.Input(batch_shape=(7, 2, 3), name="steps")
    layer = dagir.layers.LSTM(4, return_sequences=True, return_state=True)
    y, h, _ = layer(ops.transpose(steps, (1, 0, 2)))
    model = dagir.Model(steps, [ops.transpose(y, (1, 0, 2)), ops.expand_dims(h, 0)])
    made = [node.op_type for node in dagir.to_onnx(model).graph.node]
    assert sorted(made) == ["LSTM", "Squeeze"]
    assert dagir.verify(model, ["onnx"]).ok


def test_a_weight_outside_is_folded_inside_of_a_branch():
    """What a branch computes of weights alone is computed when the file is written, in bodies too."""
    x = dagir.Input(batch_shape=(4, 5), name="x")
    kernel = dagir.Input(batch_shape=(), dtype="bool", name="which")
    rng = np.random.default_rng(0)
    weights = [ops.array(rng.normal(size=(6, 5)).astype("float32")) for _ in range(2)]
    y = ops.cond(
        kernel,
        lambda: ops.matmul(x, ops.transpose(weights[0], (1, 0)) * 2.0),
        lambda: ops.matmul(x, ops.transpose(weights[1], (1, 0)) + 1.0),
    )
    model = dagir.Model([x, kernel], y)
    (branch,) = [node for node in dagir.to_onnx(model).graph.node if node.op_type == "If"]
    assert [[node.op_type for node in entry.g.node] for entry in branch.attribute] == [["MatMul"], ["MatMul"]]
    assert dagir.verify(model, ["onnx"]).ok
