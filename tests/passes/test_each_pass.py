"""Each pass: the graph before, the graph expected, structural equality, and the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from dagir import layers, ops
from dagir.ir.graph import Graph, Parameter, apply_node
from dagir.ir.rewriter import structurally_equal
from dagir.ir.types import type_of
from dagir.passes import (
    DEPLOY,
    ChannelsFirst,
    Derived,
    DropIdentities,
    FoldBatchNorm,
    FoldConstants,
    FuseBidirectional,
    Inline,
    MergeDuplicates,
    MergeSlices,
    run,
)
from dagir.testing.drawing import randomize


def same_numbers(before, after, seed=0):
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=[2 if not isinstance(s, int) else s for s in v.type.shape]) for v in before.inputs]
    arrays = [a.astype(v.dtype.numpy) for a, v in zip(arrays, before.inputs, strict=True)]
    old = dagir.lower(before, "numpy", precision="float64")(arrays)
    new = dagir.lower(after, "numpy", precision="float64")(arrays)
    for a, b in zip(old, new, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-6)  # weights are folded in float64, and kept in float32


def check_pass(step, before, expected=None):
    after = step(before)
    dagir.check(after)
    same_numbers(before, after)
    if expected is not None:
        assert structurally_equal(after, expected), f"{after}\nexpected\n{expected}"
    assert step(after) is after or structurally_equal(step(after), after), "the pass is not idempotent"
    return after


def kinds(graph):
    return [type(node.op).__name__ for node in graph.nodes]


def image(channels=3):
    return dagir.Input((6, 5, channels), name="image")


def both_ways(x, units=3, mask=None, **fields):
    """The weights of two LSTMs over x, and what they give out."""
    rng = np.random.default_rng(0)
    shapes = [(x.shape[2], 4 * units), (units, 4 * units), (4 * units,)]
    weights = [
        [
            dagir.ir.graph.Parameter(f"w{way}{i}", dagir.ir.types.TensorType(x.dtype, s), array=rng.normal(size=s))
            for i, s in enumerate(shapes)
        ]
        for way in (0, 1)
    ]
    forward = ops.lstm(x, *weights[0], mask=mask)
    return weights, forward, ops.lstm(x, *weights[1], mask=mask, go_backwards=True, **fields)


def test_fuse_bidirectional():
    x = dagir.Input((5, 2), name="x")
    weights, (y, *_), (back, *_) = both_ways(x)
    before = Graph([x], [ops.concatenate([y, ops.flip(back, 1)], axis=-1)])
    operands = (x, None, *(w.value for w in weights[0]), None, None, *(w.value for w in weights[1]))
    expected = dagir.ir.graph.apply_node(ops.Bidirectional("LSTM"), operands).outputs[0]
    check_pass(FuseBidirectional(), before, Graph([x], [expected]))


def test_fuse_bidirectional_gives_each_way_to_who_reads_it_alone():
    x, mask = dagir.Input((5, 2), name="x"), dagir.Input((5,), dtype="bool", name="mask")
    _, (y, h, _), (back, _, c) = both_ways(x, mask=mask)
    after = FuseBidirectional()(Graph([x, mask], [y + ops.flip(back, 1), back, h, c]))
    assert kinds(after).count("Bidirectional") == 1
    assert "LSTM" not in kinds(after)


def test_fuse_bidirectional_leaves_what_differs_and_what_depends():
    x = dagir.Input((5, 2), name="x")
    _, (y, h, c), (back, *_) = both_ways(x, zero_output_for_mask=True)
    before = Graph([x], [y, back])
    assert FuseBidirectional()(before) is before
    weights, *_ = both_ways(x)
    chained = ops.lstm(x, *weights[1], h, c, go_backwards=True)[0]
    before = Graph([x], [y, chained])
    assert FuseBidirectional()(before) is before


def test_bodies():
    frames, inner = dagir.Input((4, 3), name="frames"), dagir.Input((3,), name="inner")
    network = dagir.Model(inner, ops.mean(ops.relu(inner), axis=0, keepdims=True) + inner)
    before = Graph([frames], [layers.TimeDistributed(network)(frames)])
    assert kinds(before.nodes[0].op.body) == ["Call"]
    after = run(before, DEPLOY)
    (node,) = after.nodes
    assert "Call" not in kinds(node.op.body)
    same_numbers(before, after)


def test_fold_constants():
    x = dagir.Input((3,), name="x")
    two = dagir.Constant(np.full(3, 2, "float32"))
    before = Graph([x], [x * ops.sqrt(two.value * 8.0)])
    check_pass(FoldConstants(), before, Graph([x], [x * np.full(3, 4, "float32")]))


def test_fold_constants_keeps_to_its_budget():
    x = dagir.Input((3,), name="x")
    big = ops.broadcast_to(dagir.Constant(np.ones((1, 3), "float32")), (1000, 3))
    graph = Graph([x], [ops.sum(big) + x])
    assert FoldConstants(budget=100)(graph) is graph
    assert kinds(FoldConstants()(graph)) == ["Add"]


def test_a_reshaped_weight_is_a_weight_of_the_same_name():
    x = image()
    before = Graph([x], [layers.DepthwiseConv2D(3, name="depth")(x)])
    after = check_pass(FoldConstants(), before)
    assert kinds(after) == ["Conv"] or kinds(after) == ["Conv", "Add"]
    assert [p.name for p in after.parameters] == [p.name for p in before.parameters]


def test_drop_identities():
    x = image()
    y = ops.identity(layers.Dropout(0.5)(ops.identity(x)))
    y = ops.transpose(ops.transpose(y, (0, 3, 1, 2)), (0, 2, 3, 1))
    y = ops.reshape(ops.reshape(y, (-1, 30, 3)), (-1, 6, 5, 3))
    y = ops.pad(y, ((0, 0),) * 4)[:, 0:]
    check_pass(DropIdentities(), Graph([x], [ops.relu(y)]), Graph([x], [ops.relu(x)]))


def test_moves_that_follow_each_other_become_one():
    x = image()
    before = Graph([x], [ops.transpose(ops.transpose(x, (0, 3, 1, 2)), (0, 1, 3, 2))])
    check_pass(DropIdentities(), before, Graph([x], [ops.transpose(x, (0, 3, 2, 1))]))


def test_an_output_that_is_an_input_survives():
    x = dagir.Input((3,), name="x")
    after = check_pass(DropIdentities(), Graph([x], [ops.identity(x)]))
    assert after.outputs == (x,)


def test_merge_duplicates():
    x = dagir.Input((3,), name="x")
    before = Graph([x], [ops.relu(x) * 2.0 + ops.relu(x) * 2.0])
    half = ops.relu(x) * 2.0
    check_pass(MergeDuplicates(), before, Graph([x], [half + half]))


def test_a_filter_that_several_convolutions_read_stays_one_behind_the_scales_that_they_fold():
    numbers = np.random.default_rng(0).normal(size=(1, 64, 1, 8)).astype("float32")
    filters = Parameter("filters", type_of(numbers), array=numbers)
    x = dagir.Input((1, 256, 1), name="x")
    parts = [ops.conv(x[:, :, 64 * at :] * scale, filters.value) for at, scale in enumerate((-1.0, -1.0, 2.0))]
    graph = Graph([x], [ops.mean(part) for part in parts])
    folded = run(graph, DEPLOY)
    same_numbers(graph, folded)
    read = {node.inputs[1] for node in folded.nodes if isinstance(node.op, ops.Conv)}
    assert len(read) == 2 and all(isinstance(value.source, Derived) for value in read)  # that of -1, and that of 2
    filters.assign(np.ones(filters.shape, "float32"))  # what is made of a weight follows it
    found = dagir.lower(folded, "numpy")([np.ones((1, 1, 256, 1), "float32")])
    assert [float(array) for array in found] == [-64.0, -64.0, 128.0]


def test_merge_slices():
    x = dagir.Input((6,), name="x")
    before = Graph([x], [ops.exp(x[:, :2]), x[:, 2:5] * 2.0, ops.sqrt(x[:, 5:])])
    first, second, third = apply_node(ops.Split(1, (2, 3, 1)), (x,)).outputs
    check_pass(MergeSlices(), before, Graph([x], [ops.exp(first), second * 2.0, ops.sqrt(third)]))


@pytest.mark.parametrize("parts", [[(0, 2), (3, 6)], [(0, 2), (2, 5)], [(0, 4), (2, 6)], [(0, 6)], [(0, 0), (0, 6)]])
def test_slices_that_are_not_all_of_an_axis_stay(parts):
    x = dagir.Input((6,), name="x")
    graph = Graph([x], [ops.exp(x[:, start:stop]) for start, stop in parts])
    assert MergeSlices()(graph) is graph


def test_different_attributes_are_no_duplicates():
    x = dagir.Input((3,), name="x")
    graph = Graph([x], [ops.elu(x, 1.0) + ops.elu(x, 2.0)])
    assert MergeDuplicates()(graph) is graph


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "layer",
    [
        lambda bias: layers.Conv2D(4, 3, use_bias=bias),
        lambda bias: layers.Conv2DTranspose(4, 3, use_bias=bias),
        lambda bias: layers.DepthwiseConv2D(3, use_bias=bias),
        lambda bias: layers.Dense(4, use_bias=bias),
    ],
    ids=["conv", "transpose", "depthwise", "dense"],
)
def test_fold_batchnorm(layer, bias):
    x = image()
    model = dagir.Model(x, ops.relu(layers.BatchNormalization()(layer(bias)(x))))
    randomize(model, 3)
    weights = [weight.array.copy() for weight in model.weights]
    after = check_pass(FoldBatchNorm(), FoldConstants()(model.graph))
    assert "BatchNorm" not in kinds(after)
    assert len(after.parameters) == 2
    assert all(np.array_equal(old, new.array) for old, new in zip(weights, model.weights, strict=True))


def test_a_convolution_that_others_read_keeps_its_norm():
    x = image()
    y = layers.Conv2D(4, 3)(x)
    graph = Graph([x], [layers.BatchNormalization()(y), y])
    assert FoldBatchNorm()(graph) is graph


def test_a_norm_over_another_axis_stays():
    x = image()
    graph = Graph([x], [layers.BatchNormalization(axis=1)(layers.Conv2D(4, 3)(x))])
    assert FoldBatchNorm()(graph) is graph


def test_inline():
    x = dagir.Input((3,), name="x")
    inner = dagir.Model(x, ops.relu(x) + 1.0, name="inner")
    y = dagir.Input((3,), name="y")
    before = dagir.Model(y, inner(inner(y))).graph
    expected = Graph([y], [ops.relu(ops.relu(y) + 1.0) + 1.0])
    after = check_pass(Inline(), before, expected)
    assert [node.scope.path for node in after.nodes] == ["inner"] * 4


def test_channels_first():
    x = image()
    ones = np.ones((3, 3, 3, 4), "float32")
    kernel = dagir.Parameter("k", dagir.TensorType(dagir.DType.FLOAT32, ones.shape), array=ones)
    before = Graph([x], [ops.relu(ops.conv(ops.conv(x, kernel)[..., :3], kernel))])
    first = ops.transpose(x, (0, 3, 1, 2))
    y = ops.conv(first, kernel, data_format="channels_first")
    y = ops.conv(y[:, :3], kernel, data_format="channels_first")
    expected = Graph([x], [ops.transpose(ops.relu(y), (0, 2, 3, 1))])
    check_pass(ChannelsFirst(), before, expected)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_convolutional_network_has_one_transpose_at_each_edge(rank):
    x = dagir.Input((*(7, 6, 5)[:rank], 3), name="x")
    conv = (layers.Conv1D, layers.Conv2D, layers.Conv3D)[rank - 1]
    y = conv(4, 3, padding="same", activation="relu")(x)
    z = layers.BatchNormalization()(ops.relu(conv(4, 1)(y) + y * 0.5))
    z = ops.concatenate([z, ops.softmax(y, -1)], -1) * np.arange(8, dtype="float32")
    z = ops.pad(z, ((0, 0), *((1, 0),) * rank, (0, 0)))
    after = run(dagir.Model(x, conv(2, 1)(z)).graph, DEPLOY)
    assert kinds(after).count("Transpose") == 2
    pooled = run(dagir.Model(x, ops.mean(conv(2, 1)(z), tuple(range(1, rank + 1)))).graph, DEPLOY)
    assert kinds(pooled).count("Transpose") == 1


def test_a_gray_image_needs_no_transpose():
    x = image(1)
    after = run(dagir.Model(x, ops.max(layers.Conv2D(4, 3)(x), (1, 2))).graph, DEPLOY)
    assert kinds(after) == ["Reshape", "Conv", "ReduceMax"]


def test_a_pass_can_be_switched_off_by_name():
    x = dagir.Input((3,), name="x")
    graph = Graph([x], [ops.identity(x) + 1.0])
    assert kinds(run(graph, DEPLOY)) == ["Add"]
    assert kinds(run(graph, DEPLOY, disable=["drop-identities"])) == ["Identity", "Add"]
    with pytest.raises(dagir.ArgumentError, match="there is no pass 'fuse'"):
        run(graph, DEPLOY, disable=["fuse"])


def test_a_graph_that_no_pass_changes_is_returned_itself():
    x = dagir.Input((3,), name="x")
    graph = Graph([x], [ops.relu(x) + x])
    assert run(graph, DEPLOY) is graph


def test_the_old_graph_is_untouched():
    x = image()
    model = dagir.Model(x, layers.BatchNormalization()(layers.Conv2D(4, 3)(x)))
    before = str(model.graph)
    run(model.graph, DEPLOY)
    assert str(model.graph) == before
