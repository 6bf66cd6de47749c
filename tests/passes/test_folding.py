"""Passes that move work into weights and attributes: graph before, graph expected, and the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from test_each_pass import check_pass, image, kinds

import dagir
from dagir import layers, ops
from dagir.ir.graph import Graph
from dagir.passes import (
    DEPLOY,
    Derived,
    DropIdentities,
    FoldBatchNorm,
    FoldConstants,
    FoldScales,
    MergeClips,
    MergePads,
    run,
)
from dagir.testing.drawing import randomize


def vector(*numbers):
    return np.asarray(numbers, "float32")


def folded(step, y, x, seed=1):
    """The graph after the pass, checked, with every weight drawn anew before it."""
    model = dagir.Model(x, y)
    randomize(model, seed)
    weights = [weight.array.copy() for weight in model.weights]
    after = check_pass(step, FoldConstants()(model.graph))
    assert all(np.array_equal(old, new.array) for old, new in zip(weights, model.weights, strict=True))
    return after


def test_limits_that_follow_each_other_are_one_clip():
    x = dagir.Input((3,), name="x")
    check_pass(MergeClips(), Graph([x], [ops.minimum(ops.relu(x), 6.0)]), Graph([x], [ops.clip(x, 0.0, 6.0)]))
    y = ops.maximum(1.0, ops.clip(ops.minimum(x, 2.0), -1.0, 5.0))
    check_pass(MergeClips(), Graph([x], [y]), Graph([x], [ops.clip(x, 1.0, 2.0)]))
    check_pass(MergeClips(), Graph([x], [ops.relu(ops.relu(x))]), Graph([x], [ops.relu(x)]))
    crossed = Graph([x], [ops.clip(ops.maximum(x, 4.0), 0.0, 1.0)])  # never above 1, never below 4: always 1
    check_pass(MergeClips(), crossed, Graph([x], [ops.clip(x, 1.0, 1.0)]))


def test_limits_that_are_no_numbers_stay():
    x = dagir.Input((3,), name="x")
    for y in (
        ops.minimum(ops.relu(x), vector(1, 2, 3)),
        ops.minimum(ops.relu(x), ops.relu(-x)),
        ops.minimum(ops.relu(x), float("nan")),
        ops.minimum(ops.relu(x)[:, :1], np.ones((1, 3), "float32")),
    ):
        graph = Graph([x], [y])
        assert MergeClips()(graph) is graph


@pytest.mark.parametrize("padding", ["valid", "same", ((0, 2), (1, 0))])
@pytest.mark.parametrize("strides", [1, 2])
def test_a_border_of_zeros_is_the_padding_of_the_convolution(padding, strides):
    x = image()
    kernel = dagir.Constant(np.random.default_rng(0).normal(size=(3, 2, 3, 4)).astype("float32"))
    padded = ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)))
    after = check_pass(MergePads(), Graph([x], [ops.conv(padded, kernel, strides=strides, padding=padding)]))
    assert kinds(after) == ["Conv"]


def test_borders_that_are_no_padding_stay():
    x = image()
    kernel = dagir.Constant(np.ones((3, 3, 3, 4), "float32"))
    wide = dagir.Constant(np.ones((3, 3, 5, 4), "float32"))
    for padded, weights in (
        (ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=1.0), kernel),
        (ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect"), kernel),
        (ops.pad(x, ((0, 0), (1, 1), (1, 1), (1, 1))), wide),
    ):
        graph = Graph([x], [ops.conv(padded, weights)])
        assert MergePads()(graph) is graph


def test_a_max_pool_takes_a_border_where_nothing_is_negative():
    x = image()
    pads = ((0, 0), (1, 1), (0, 1), (0, 0))
    for source in (ops.relu(x), ops.clip(x, 0.0, 6.0), ops.average_pool(ops.sigmoid(x), 2)):
        after = check_pass(MergePads(), Graph([x], [ops.max_pool(ops.pad(source, pads), 3, 1)]))
        assert "Pad" not in kinds(after)
    for y in (
        ops.max_pool(ops.pad(x, pads), 3, 1),
        ops.max_pool(ops.pad(ops.log_softmax(x), pads), 3, 1),
        ops.max_pool(ops.pad(ops.relu(x), ((0, 0), (2, 0), (0, 0), (0, 0))), 2, 1),  # a window of border alone
        ops.average_pool(ops.pad(ops.relu(x), pads), 3, 1),
    ):
        graph = Graph([x], [y])
        assert MergePads()(graph) is graph


LINEAR = {
    "conv": lambda: layers.Conv2D(4, 3),
    "without a bias": lambda: layers.Conv2D(4, 3, use_bias=False),
    "grouped": lambda: layers.Conv2D(6, 3, groups=3),
    "depthwise": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
    "transpose": lambda: layers.Conv2DTranspose(4, 3),
    "dense": lambda: layers.Dense(4),
}


@pytest.mark.parametrize("layer", LINEAR.values(), ids=LINEAR.keys())
def test_scales_and_shifts_after_a_linear_map(layer):
    x = image()
    y = layer()(x)
    channels = y.shape[-1]
    kind = dagir.TensorType(dagir.DType.FLOAT32, (1, 1, channels))
    by_channel = dagir.Parameter("s", kind, array=np.arange(1, channels + 1, dtype="float32").reshape(1, 1, -1))
    y = -((1.5 - y * by_channel) / 3.0 + vector(*range(channels)))
    after = folded(FoldBatchNorm(), y, x)
    assert set(kinds(after)) <= {"Conv", "ConvTranspose", "Linear"}
    assert len(after.nodes) == 1


@pytest.mark.parametrize("layer", LINEAR.values(), ids=LINEAR.keys())
def test_scales_before_a_linear_map(layer):
    x = image()
    after = folded(FoldScales(), layer()(-(x * vector(1, 2, 3)) / 5.0), x)
    assert len(after.nodes) == 1


@pytest.mark.parametrize("name", [name for name in LINEAR if name != "transpose"])
def test_shifts_and_norms_before_a_linear_map(name):
    x = image()
    after = folded(FoldScales(), LINEAR[name]()(layers.BatchNormalization()(x * 2.0 - 1.0)), x)
    assert len(after.nodes) == 1


def test_a_border_does_not_take_a_shift():
    x = image()
    after = folded(FoldScales(), layers.Conv2D(4, 3, padding="same")((x + 1.0) * vector(1, 2, 3)), x)
    assert kinds(after) == ["Add", "Conv"]
    shifted = dagir.Model(x, layers.Conv2DTranspose(4, 3)(x + 1.0)).graph
    assert FoldScales()(shifted) is shifted


def test_what_varies_along_other_axes_or_is_read_twice_stays():
    x = image()
    conv = layers.Conv2D(4, 3)
    y = conv(x)
    rows = np.ones((4, 1, 4), "float32")
    for graph in (
        Graph([x], [y * rows]),
        Graph([x], [y * ops.sigmoid(y)]),
        Graph([x], [y * 2.0 + y]),
        Graph([x], [y * np.ones((1, 4, 3, 4), "float32")[..., :1]]),
    ):
        assert FoldBatchNorm()(graph) is graph
    scaled = x * 2.0
    graph = Graph([x], [layers.Conv2D(4, 3)(scaled), scaled])
    assert FoldScales()(graph) is graph


def test_folding_holds_no_second_copy():
    x = image()
    model = dagir.Model(x, layers.BatchNormalization()(layers.Conv2D(4, 3)(x)))
    after = run(model.graph, DEPLOY)
    assert all(isinstance(weight, Derived) for weight in after.parameters)
    (kernel, _) = after.parameters
    assert kernel.array is not kernel.array


def by(weight, scale, dtype="float32", before=False):
    """The graph of a linear map whose weights are one number, times another; a border of zeros in the weights."""
    x = dagir.Input((4,), name="x", dtype=dtype)
    dense = layers.Dense(2, use_bias=False, dtype=dtype)
    model = dagir.Model(x, dense(x * scale) if before else dense(x) * scale)
    dense.set_weights([np.pad(np.full((3, 2), weight), ((0, 1), (0, 0)))])
    return model.graph


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize(
    ("weight", "scale", "dtype", "folds"),
    [
        (1e25, 1e25, "float32", False),
        (1e-22, 1e-22, "float32", False),
        (-1e-22, 1e-17, "float32", False),
        (3.0, 1e38, "float32", True),
        (4.0, 1e38, "float32", False),
        (1e-40, 0.5, "float32", True),  # it was no normal number before
        (1e-22, 0.0, "float32", True),
        (1e25, 1e25, "float64", True),
        (1e200, -1e200, "float64", False),
        (300.0, 300.0, "float16", False),
        (300.0, 300.0, "bfloat16", True),
        (1.0, np.inf, "float32", False),
    ],
)
def test_no_product_of_weights_leaves_the_numbers_of_its_dtype(weight, scale, dtype, folds, before):
    graph = by(weight, scale, dtype, before)
    after = (FoldScales() if before else FoldBatchNorm())(graph)
    assert (len(after.nodes) == 1) is folds
    assert folds or after is graph


def test_a_norm_that_would_overflow_weights_or_biases_stays():
    x = image()
    conv, norm = layers.Conv2D(2, 3), layers.BatchNormalization(epsilon=0.0)
    graph = dagir.Model(x, norm(conv(x))).graph
    kernel, bias = np.full((3, 3, 3, 2), 2.0), np.zeros(2)
    for scale, mean, variance, factor, folds in (
        (1.0, 1.0, 1.0, 1.0, True),
        (1e6, 0.0, 1e-20, 1e30, False),
        (1e20, 1e30, 1.0, 1.0, False),  # the new bias
        (1.0, 0.0, 0.0, 1.0, False),
    ):
        conv.set_weights([kernel * factor, bias])
        norm.set_weights([np.full(2, number) for number in (scale, 0.0, mean, variance)])
        assert (len(FoldBatchNorm()(graph).nodes) == 1) is folds


def test_a_shift_that_would_overflow_a_bias_stays():
    x = image()
    for shift, folds in ((1e3, True), (1e38, False)):
        conv = layers.Conv2D(2, 3)
        graph = dagir.Model(x, conv(x + shift)).graph
        conv.set_weights([np.full((3, 3, 3, 2), 10.0), np.zeros(2)])
        assert (len(FoldScales()(graph).nodes) == 1) is folds


def test_a_long_chain_of_folds_needs_no_deep_recursion():
    x = dagir.Input((3,), name="x")
    y = layers.Dense(3)(x)
    for _ in range(3000):
        y = y * 1.0001
    (node,) = FoldBatchNorm()(dagir.Model(x, y).graph).nodes
    assert node.inputs[1].source.array.shape == (3, 3)


def test_what_weights_alone_decide_is_computed_once():
    x = dagir.Input((3,), name="x")
    weight = dagir.Parameter("w", dagir.TensorType(dagir.DType.FLOAT32, (3,)), array=vector(1, 4, 9))
    after = check_pass(FoldConstants(), Graph([x], [x * ops.sqrt(weight) + weight]))
    assert kinds(after) == ["Multiply", "Add"]
    assert [p.name for p in after.parameters] == ["w", "w"]


def test_neutral_arithmetic_goes():
    x = dagir.Input((3,), name="x")
    y = (0.0 + (1.0 * x - 0.0) / 1.0) * np.ones(3, "float32") + 0.0
    check_pass(DropIdentities(), Graph([x], [ops.relu(y)]), Graph([x], [ops.relu(x)]))
    kept = Graph([x], [1.0 - x, 1.0 / x, x * np.ones((2, 1, 3), "float32")])
    assert DropIdentities()(kept) is kept


def test_rescaling_and_normalizing_an_image_costs_nothing():
    x = image()
    y = layers.Normalization(mean=[0.5, 0.4, 0.3], variance=[0.2, 0.3, 0.1])(layers.Rescaling(1 / 255)(x))
    model = dagir.Model(x, ops.max(layers.Conv2D(4, 3)(y), (1, 2)))
    randomize(model, 1)
    assert kinds(run(model.graph, DEPLOY)) == ["Transpose", "Conv", "ReduceMax"]
