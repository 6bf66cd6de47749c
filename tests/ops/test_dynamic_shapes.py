"""Shapes with several sizes that are known at run time only."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import ops, testing
from dagir.errors import DagirError, ShapeError
from dagir.ir.graph import Graph
from dagir_numpy.interpreter import evaluate

MOVING = [
    *(ops.Transpose, ops.ExpandDims, ops.Squeeze, ops.Concatenate, ops.Pad, ops.Slice, ops.Tile, ops.Gather),
    *(ops.MaxPool, ops.AveragePool, ops.UpSample, ops.ReduceSum, ops.Variance, ops.ArgMax, ops.Einsum, ops.MatMul),
    *(ops.Linear, ops.Embedding, ops.Softmax, ops.Reshape),
]


@pytest.mark.parametrize("op", MOVING, ids=lambda op: op.__name__)
def test_ops_agree_with_the_oracle_where_sizes_are_named(op):
    @given(st.data())
    def agrees(data):
        case = data.draw(testing.cases(op))
        axes = [
            (place, axis) for place, array in enumerate(case.arrays) if array is not None for axis in range(array.ndim)
        ]
        named = tuple(each for each in axes if each[0] not in case.weights and data.draw(st.booleans()))
        try:
            graph, feeds = case.graph(named)
        except DagirError:
            return  # a size of 1 that was known to broadcast may be any size once it has a name
        testing.assert_equivalent(graph, feeds, ("numpy", "onnx"))

    agrees()


SHAPES = {
    "merge": lambda x: ops.reshape(x, (x.type.shape[0], x.type.shape[1] * 4)),
    "split": lambda x: ops.reshape(x, (x.type.shape[0], x.type.shape[1], 2, 2)),
    "front": lambda x: ops.reshape(x, (x.type.shape[0] * x.type.shape[1], 4)),
    "open": lambda x: ops.reshape(x, (x.type.shape[0], -1)),
    "every other": lambda x: ops.reshape(x[:, ::2], (x.type.shape[0], (x.type.shape[1] + 1) // 2, 2, 2)),
    "broadcast": lambda x: ops.broadcast_to(ops.mean(x, (0, 1), keepdims=True), x.type.shape),
}


@pytest.mark.parametrize("name", SHAPES)
def test_several_named_sizes_in_one_shape(name):
    x = dagir.Input(("time", 4))
    graph = Graph([x], [SHAPES[name](x)])
    for batch, time in ((1, 3), (2, 5)):
        array = np.random.default_rng(time).uniform(-2, 2, (batch, time, 4)).astype("float32")
        testing.assert_equivalent(graph, [array])


class Heads(dagir.Layer):
    """Splits the channels, as attention does."""

    def call(self, inputs):
        batch, time, _ = ops.shape(inputs)
        return ops.transpose(ops.reshape(inputs, (batch, time, 2, 2)), (0, 2, 1, 3))


def test_several_named_sizes_within_a_layer():
    x = dagir.Input(("time", 4))
    model = dagir.Model(x, Heads()(x))
    array = np.random.default_rng(0).uniform(-2, 2, (3, 5, 4)).astype("float32")
    testing.assert_equivalent(model, [array])


PADDED = {  # "same" where TensorFlow does not pad: kernel, strides, dilations, groups, layout
    "a stride beside a dilation": ((3,), (2,), (2,), 1, "channels_last"),
    "on one axis each": ((2, 3), (3, 1), (1, 2), 1, "channels_first"),
    "in groups": ((3, 2), (2, 2), (2, 3), 2, "channels_last"),
    "over three axes": ((1, 2, 1), (2, 3, 2), (1, 1, 2), 1, "channels_last"),
    "a kernel below the stride": ((1, 1, 1), (3, 3, 3), (1, 1, 1), 1, "channels_last"),
    "groups alone": ((2,), (1,), (1,), 2, "channels_first"),
}


@pytest.mark.parametrize("is_weight", [False, True])
@pytest.mark.parametrize("name", PADDED)
def test_convolutions_pad_by_sizes_known_at_run_time(name, is_weight):
    kernel, strides, dilations, groups, layout = PADDED[name]
    op = ops.Conv(strides, "same", dilations, groups, layout)

    def image(batch, *axes):
        rng = np.random.default_rng(batch)
        return rng.uniform(-2, 2, (batch, *axes, 4) if layout == "channels_last" else (batch, 4, *axes)).astype("f4")

    w = np.random.default_rng(9).uniform(-2, 2, (*kernel, 4 // groups, 6)).astype("f4")
    case = testing.OpCase(op, (image(1, *(5,) * op.rank), w, None), frozenset({1} if is_weight else ()))
    graph, (_, *others) = case.graph(tuple((0, axis) for axis in (0, *op.spatial_axes)))
    lowered = {backend: dagir.lower(graph, backend) for backend in ("numpy", "onnx", "keras")}
    oracle = dagir.lower(graph, "numpy", precision="float64")
    for batch, size in ((1, 4), (3, 7), (2, 8)):
        feeds = [image(batch, *(size + axis for axis in range(op.rank))), *others]
        for backend, run in lowered.items():
            testing.assert_close(run(feeds)[0], oracle(feeds)[0], backend)


@pytest.mark.parametrize("shape", [(-1, 3), (-1, 6), (-1, 2)])
def test_a_reshape_changes_a_size_known_at_run_time_only(shape):
    x = dagir.Input((2, 3))
    model = dagir.Model(x, ops.reshape(x, shape))
    testing.assert_equivalent(model, [np.arange(24, dtype="float32").reshape(4, 2, 3)])


def test_an_axis_that_is_dropped_and_is_longer_when_it_runs_names_the_node():
    x = dagir.Input(batch_shape=(2, 1, 4))
    with pytest.raises(ShapeError, match=r"axis 1 of .* has 3") as caught:
        evaluate(Graph([x], [ops.squeeze(x, 1)]), [np.zeros((2, 3, 4), "float32")])
    assert "Squeeze" in str(caught.value)
