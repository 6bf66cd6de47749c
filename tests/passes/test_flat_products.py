"""Products of rows: graph before, graph expected, the same numbers; and values that are watched in another shape."""

from __future__ import annotations

import numpy as np
import pytest
from test_each_pass import check_pass, kinds

import dagir
from dagir import layers, ops
from dagir.equivalence.pass_validation import verify_each_pass
from dagir.ir.graph import Graph
from dagir.ir.value_map import compose, recorded
from dagir.passes import ChannelsFirst, FlatProducts, run
from dagir.runtime.probes import points_after, points_of
from dagir.testing.drawing import randomize


def weight(*shape, name="w"):
    array = np.random.default_rng(0).normal(size=shape).astype("float32")
    return dagir.Parameter(name, dagir.TensorType(dagir.DType.FLOAT32, shape), array=array)


def linear(x, units=3, bias=True):
    return dagir.apply(ops.Linear(), x, weight(x.shape[-1], units).value, weight(units).value if bias else None)


def flat(x):
    batch, steps, size = x.type.shape
    return dagir.apply(ops.Reshape((batch * steps, size)), x)


def restored(y, x):
    return dagir.apply(ops.Reshape((*x.type.shape[:-1], y.type.shape[-1])), y)


def test_a_biased_product_is_one_of_matrices():
    x = dagir.Input((5, 7), name="x")
    expected = restored(linear(flat(x)), x)
    check_pass(FlatProducts(), Graph([x], [linear(x)]), Graph([x], [expected]))


def test_what_looks_at_rows_follows():
    """Activations, rows of numbers, residuals, norms, sums along the row, and products without a bias."""
    x = dagir.Input((5, 7), name="x")
    gamma, beta, row = weight(7).value, weight(7).value, weight(1, 1, 7).value

    def block(x, width):
        y = ops.relu(linear(x, 7))
        y = (x + y * weight(7).value) * (row if width == 3 else weight(7).value)
        y = dagir.apply(ops.LayerNorm((width - 1,), 1e-3), y, gamma, beta)
        return ops.softmax(ops.clip(linear(y, 4, bias=False), -1.0, 1.0), -1)

    before = Graph([x], [block(x, 3)])
    after = check_pass(FlatProducts(), before, Graph([x], [restored(block(flat(x), 2), x)]))
    assert kinds(after).count("Reshape") == 2


def test_what_does_not_look_at_rows_alone_gets_the_old_shape():
    x = dagir.Input((5, 7), name="x")
    y = linear(x, 7)
    for reader in (
        lambda y: ops.softmax(y, 1),
        lambda y: y * weight(5, 1).value,
        lambda y: y + ops.mean(y, 1, keepdims=True),
        lambda y: dagir.apply(ops.LayerNorm((1, 2), 1e-3), y, None, None),
        lambda y: ops.expand_dims(y, 1) + y,
        lambda y: ops.transpose(y, (0, 2, 1)),
    ):
        after = check_pass(FlatProducts(), Graph([x], [reader(y)]))
        assert kinds(after)[:3] == ["Reshape", "Linear", "Reshape"]
        assert kinds(after).count("Reshape") == 2


def test_what_would_gain_nothing_stays():
    x, long = dagir.Input((5, 7), name="x"), dagir.Input((None, 7), name="long")
    fixed = dagir.Input(shape=(None, 7), batch_size=3, name="fixed")
    for graph in (
        Graph([x], [linear(x, bias=False)]),
        Graph([x], [ops.relu(x)]),
        Graph([long], [linear(long)]),  # the way back would have to compute its shape
        Graph([y := dagir.Input((7,))], [linear(y)]),
    ):
        assert FlatProducts()(graph) is graph
    assert kinds(check_pass(FlatProducts(), Graph([fixed], [linear(fixed)]))) == ["Reshape", "Linear", "Reshape"]


def test_three_products_of_one_value_share_its_reshape():
    x = dagir.Input((5, 7), name="x")
    after = check_pass(FlatProducts(), Graph([x], [linear(x, 2), linear(x, 3), linear(x, 4, bias=False)]))
    assert kinds(after).count("Reshape") == 4


def block(x, memory=None, mask=None, causal=False, heads=None):
    attention = layers.MultiHeadAttention(4, 3) if heads is None else layers.GroupQueryAttention(3, 4, heads)
    y = layers.LayerNormalization(name="norm")(x)
    y = attention(y, y if memory is None else memory, attention_mask=mask, use_causal_mask=causal)
    x = layers.Add()([x, y])
    y = layers.Dense(9, activation="gelu", name="wide")(layers.LayerNormalization()(x))
    return layers.Add(name="sum")([x, layers.Dense(6, name="narrow")(y)])


def transformer(steps, kind):
    x, memory = dagir.Input((steps, 6), name="x"), dagir.Input((4, 6), name="memory")
    mask = dagir.Input((steps, steps), dtype="bool", name="mask")
    inputs, y = {
        "plain": lambda: ([x], block(x)),
        "causal": lambda: ([x], block(x, causal=True)),
        "mask": lambda: ([x, mask], block(x, mask=mask)),
        "cross": lambda: ([x, memory], block(x, memory)),
        "grouped": lambda: ([x], block(x, heads=2)),
    }[kind]()
    model = dagir.Model(inputs, y)
    randomize(model, 5)
    return model


@pytest.mark.parametrize("kind", ["plain", "causal", "mask", "cross", "grouped"])
@pytest.mark.parametrize("steps", [5, None])
def test_transformer_blocks(kind, steps):
    model = transformer(steps, kind)
    rng = np.random.default_rng(0)
    for size in (5, 5) if steps else (3, 7):
        shapes = {"x": (2, size, 6), "memory": (2, 4, 6), "mask": (2, size, size)}
        arrays = [rng.normal(size=shapes[value.name]).astype("float32") for value in model.graph.inputs]
        arrays = [a > 0 if v.dtype == "bool" else a for a, v in zip(arrays, model.graph.inputs, strict=True)]
        expected = dagir.lower(model.graph, "numpy", precision="float64")(arrays)
        for opset in (18, 21, 24):
            found = dagir.lower(model.graph, "onnx", opset=opset)(arrays)
            np.testing.assert_allclose(found[0], expected[0], atol=2e-5)


def test_a_block_has_few_nodes_and_keeps_its_points():
    model = transformer(5, "plain")
    exe, right = dagir.lower(model, "onnx"), dagir.lower(model, "numpy", precision="float64")
    types = [node.op_type for node in exe.artifact.graph.node]
    assert types.count("Gemm") == 6
    assert types.count("Reshape") == 7
    names = list(exe.points())
    assert {"norm/layer_norm", "wide/gelu", "sum/add"} <= set(names)
    array = np.random.default_rng(1).normal(size=(3, 5, 6)).astype("float32")
    for got, want in zip(exe.observe([array], names), right.observe([array], names), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    assert all(result.ok for result in verify_each_pass(model))


@pytest.mark.parametrize("name", ["norm/gamma", "wide/bias", "narrow/kernel"])
def test_a_wrong_weight_is_found_among_rows(name):
    model = transformer(5, "plain")
    found = {weight.name: weight for weight in model.weights}[name]
    kept = found.array
    found.assign(kept * 1.01)
    exe = dagir.lower(model, "onnx")
    _ = exe.session, exe.artifact  # read the weights
    found.assign(kept)
    divergence = dagir.verify(model, {"faulty": exe}).first_divergence
    layer = name.split("/", maxsplit=1)[0]
    assert any(each is not None and each.endswith(layer) for each in (divergence.layer, *divergence.also)), divergence


def test_a_value_may_have_moved_its_channels_and_lost_its_shape():
    image = dagir.Input((4, 6, 3), name="image")
    y = ops.transpose(linear(ops.transpose(layers.Conv2D(5, 1)(image), (0, 3, 1, 2)), 2), (0, 2, 3, 1))
    points = points_of(Graph([image], [layers.Conv2D(2, 1)(ops.relu(y))]))
    graph, standings = points_after(points)
    array = np.random.default_rng(1).normal(size=(2, 4, 6, 3)).astype("float32")
    names = list(standings)
    old = dagir.lower(points.graph, "numpy", precision="float64").observe([array], names)
    watched = Graph(graph.inputs, [standings[name].value for name in names])
    new = dagir.lower(watched, "numpy", precision="float64")([array])
    for name, got, want in zip(names, new, old, strict=True):
        np.testing.assert_allclose(standings[name].as_written(got), want, atol=1e-5)


def test_a_reshape_between_two_transposes_has_nothing_that_stands_for_it():
    x = dagir.Input((4, 6, 3), name="x")
    y = linear(x)
    graph = Graph([x], [y])
    with recorded() as steps:
        after = run(graph, ((FlatProducts(), ""), (ChannelsFirst(), "")))
    assert compose([y], steps)[y].shape == (-1, 4, 6, 3)
    assert after.outputs[0].type == y.type
