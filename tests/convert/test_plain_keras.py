"""What to_keras gives is Keras's own: its file loads in a process without dagir, or after `import dagir`.

The child process loads many files at once, since importing TensorFlow takes longer than all of them.
"""

from __future__ import annotations

import contextlib
import json
import random
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import dagir
from convert import drawing
from convert.elsewhere import loaded_elsewhere, own_layers
from dagir import apply, layers, ops
from dagir.ir.nest import flatten
from dagir.ir.rewriter import structurally_equal
from dagir.ops.call import parameters_of
from dagir.runtime.backend import graph_of
from dagir.testing import assert_close, cases, covered

pytestmark = pytest.mark.filterwarnings("ignore:.*does not support masking:UserWarning")


def feeds_of(model):
    rng, sizes = np.random.default_rng(0), {}
    made = []
    for value in graph_of(model).inputs:
        shape = [s if isinstance(s, int) else sizes.setdefault(str(s), 2 + len(sizes)) for s in value.type.shape]
        found = rng.integers(0, 4, shape) if value.dtype.is_integer else rng.uniform(-1, 1, shape)
        made.append(found.astype(value.dtype.numpy))
    return made


def saved(folder, name, model, feeds):
    """Save what to_keras gives beside inputs and the answers of the NumPy backend; the path without its ending."""
    path = str(folder / name)
    made = dagir.to_keras(model)
    made.save(path + ".keras")
    np.savez(path + ".npz", **{f"x{place}": array for place, array in enumerate(feeds)})
    return path, made


def answers(model, feeds):
    return flatten(dagir.lower(model)(feeds if len(feeds) > 1 else feeds[0]))


def assert_same(found, wanted, what):
    assert len(found) == len(wanted), what
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape, what
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5, err_msg=what)


def weight(name, *shape, trainable=True):
    numbers = np.random.default_rng(len(name)).uniform(0.2, 0.8, shape).astype("float32")
    return dagir.Parameter(name, dagir.TensorType(dagir.DType.FLOAT32, shape), array=numbers, trainable=trainable)


# ---- models that stock Keras can say


def dense_of_ops():
    x = dagir.Input((None, 8), name="x")
    y = ops.relu(ops.matmul(x, weight("w", 8, 6)) + weight("b", 6))
    return dagir.Model(x, ops.einsum("abc,cd->abd", y, weight("e", 6, 5)))


def sequence_of_ops():
    x, state = dagir.Input((None, 5), name="x"), dagir.Input((3,), name="state")
    y, last = ops.gru(x, weight("k", 5, 9), weight("r", 3, 9), weight("b", 2, 9), state)
    return dagir.Model([x, state], [y, last])


def images_of_ops():
    x = dagir.Input((8, 9, 4), name="x")
    y = ops.conv(x, weight("k", 3, 3, 4, 6), 2, "same") + weight("b", 6)
    y = ops.layer_normalization(y, weight("gamma", 6), weight("beta", 6))
    return dagir.Model(x, ops.adaptive_average_pool(ops.conv(y, weight("d", 2, 2, 1, 6), 1, "valid"), 2))


def moving_ops():
    x = dagir.Input((None, 6), name="x")
    y = ops.transpose(ops.reshape(x, (-1, 2, 3)), (0, 2, 1))
    y = ops.concatenate([y, ops.take(y, [1, 0], axis=-1), np.ones((3, 2), "float32") * ops.ones_like(y)], axis=-1)
    return dagir.Model(x, [ops.where(y > 0, y, 0.1 * y), ops.cast(ops.max(y[:, 1:], axis=1) > 0.5, "int32")])


def sizes_of_the_run():
    x = dagir.Input((None, 4), name="x")
    y = layers.Conv1D(3, 2)(x)
    batch, steps = ops.shape(x)[0], ops.shape(y)[1]
    wide = ops.broadcast_to(ops.ones((1, 1, 2)), (batch, steps, 2)) * y[:, :, :2]
    return dagir.Model(x, [ops.zeros_like(y) + 1.0, wide, ops.reshape(x, (batch, ops.shape(x)[1], 2, 2))])


def masks_joined():
    a, b = (dagir.Input((None,), dtype="int32", name=name) for name in "ab")
    both = [layers.Embedding(9, 4, mask_zero=True)(each) for each in (a, b)]
    return dagir.Model([a, b], layers.GRU(3)(layers.Concatenate(axis=1)(both)))


def constants():
    x = dagir.Input((4,), name="x")
    return dagir.Model(x, [layers.Dense(2)(x), ops.zeros((3, 4)), ops.arange(5)])


def lambdas():
    x = dagir.Input((4,), name="x")
    return dagir.Model(x, layers.Lambda(lambda t: ops.relu(layers.Dense(3)(t)) * 2)(x))


def half_plus(x):
    return ops.clip(x * 0.2 + 0.5, 0.0, 1.0)


def functions_without_a_name():
    x = dagir.Input((4, 4, 2), name="x")
    y = layers.Conv2D(3, 2, activation=half_plus, name="bent")(x)
    return dagir.Model(x, layers.Activation(half_plus)(layers.Dense(2, activation=half_plus, trainable=False)(y)))


def counts():
    x = dagir.Input((3,), dtype="int64", name="x")
    many = layers.IntegerLookup(vocabulary=[1, 2, 3], output_mode="count")(x)
    return dagir.Model(x, [many, ops.cast(many, "float32") / 2.0])


def shared_and_nested():
    inside, shared = dagir.Input((4,)), layers.Dense(4)
    inner = dagir.Model(inside, layers.BatchNormalization()(layers.Dense(4, trainable=False)(inside)), name="inner")
    x = dagir.Input((4,), name="x")
    return dagir.Model(x, [shared(inner(shared(x))), inner(x)])


def bare_weights():
    x = dagir.Input((4,), name="x")
    return dagir.Model(x, [x * weight("scale", 4) + weight("shift", 4, trainable=False), weight("alone", 2).value])


def tied():
    x, embedding = dagir.Input((None,), dtype="int32", name="x"), layers.Embedding(9, 4)
    return dagir.Model(x, ops.matmul(layers.Dense(4)(embedding(x)), ops.transpose(embedding.embeddings)))


PLAIN = [
    *(dense_of_ops, sequence_of_ops, images_of_ops, moving_ops, sizes_of_the_run, masks_joined, constants),
    *(lambdas, shared_and_nested, functions_without_a_name, counts),
    *(bare_weights, tied),
]

# ---- models that hold a layer of dagir's


class Block(dagir.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.dense, self.norm = layers.Dense(4), layers.BatchNormalization()

    def build(self, x_shape):
        self.scale = self.add_weight((4,), name="scale")

    def call(self, x, mask=None):
        y = self.norm(self.dense(x)) * self.scale
        return y if mask is None else y * ops.cast(ops.expand_dims(mask, -1), "float32")


def blocks():
    x, block = dagir.Input((4,), name="x"), Block(name="block")
    return dagir.Model(x, layers.Dense(2)(block(block(x))))


def masked_block():
    x = dagir.Input((None,), dtype="int32", name="x")
    return dagir.Model(x, layers.LSTM(3)(Block()(layers.Embedding(5, 4, mask_zero=True)(x))))


OWN = {blocks: ["TracedLayer"], masked_block: ["TracedLayer"]}


def drawn_weights(model):
    rng = np.random.default_rng(7)
    for each in parameters_of(model.graph):
        each.assign(rng.uniform(0.2, 0.9, each.shape))
    return model


@pytest.mark.parametrize("makers", [PLAIN, list(OWN)], ids=["plain", "own"])
def test_another_process_loads_it_with_the_same_numbers(makers, tmp_path):
    models = {make.__name__: drawn_weights(make()) for make in makers}
    feeds = {name: feeds_of(model) for name, model in models.items()}
    paths = {}
    for make in makers:
        name = make.__name__
        paths[name], made = saved(tmp_path, name, models[name], feeds[name])
        assert own_layers(made) == OWN.get(make, []), name
    elsewhere = loaded_elsewhere(tmp_path, list(paths.values()), "dagir" if makers is not PLAIN else "")
    for name, model in models.items():
        wanted = answers(model, feeds[name])
        assert_same(elsewhere[paths[name]], wanted, name)
        assert_same(answers(dagir.from_keras(paths[name] + ".keras"), feeds[name]), wanted, name)
        assert_same(answers(dagir.from_keras(dagir.to_keras(model)), feeds[name]), wanted, name)


@pytest.mark.parametrize("make", [dense_of_ops, images_of_ops, sequence_of_ops, shared_and_nested, blocks, tied])
def test_the_file_is_read_back_as_the_same_graph(make, tmp_path):
    model = drawn_weights(make())
    path, _ = saved(tmp_path, "m", model, feeds_of(model))
    again = dagir.from_keras(path + ".keras")
    flags = [[weight.trainable for weight in parameters_of(each.graph)] for each in (model, again)]
    assert sorted(flags[0]) == sorted(flags[1])
    if make in (sequence_of_ops, shared_and_nested, blocks):
        assert structurally_equal(model.graph, again.graph)


# ---- drawn ops

WITHIN_A_LAYER = {
    "If",
    "Loop",
    "LSTM",
    "DynamicQuantizeLSTM",
    "GRU",
    "SimpleRNN",
    "Bidirectional",
    "Scan",
    "Lookup",
    "ConvTranspose",
    "Conv",
    "EqualSizes",
    "KnowSizes",
    "Range",
    "RoiAlign",
    "Unique",
    "NonZero",
    "NonMaxSuppression",
}
"""Ops that Keras has no operation for, where their weights are no weights, or are those that no layer takes."""


def drawn(op):
    found = []

    @settings(max_examples=2, database=None, deadline=None, derandomize=True, phases=[Phase.generate])
    @given(cases(op))
    def collect(case):
        found.append(case)

    collect()
    graphs = [case.graph() for case in found[:2]]
    return [(graph, feeds) for graph, feeds in graphs if feeds and all(a.dtype.kind in "biuf" for a in feeds)]


def test_drawn_ops_are_operations_of_keras(tmp_path):
    plain, own, wanted = [], [], {}
    for op in sorted(covered(), key=lambda each: each.__name__):
        for place, (graph, feeds) in enumerate(drawn(op)):
            try:
                path, made = saved(tmp_path, f"{op.__name__}{place}", graph, feeds)
            except dagir.DagirError as error:  # what TensorFlow has no kernel for
                assert "TensorFlow" in str(error)
                continue
            wanted[path] = answers(graph, feeds)
            names = own_layers(made)
            assert set(names) <= {"Weight", "TracedLayer"}
            assert "TracedLayer" not in names or op.__name__ in WITHIN_A_LAYER, op.__name__
            (own if names else plain).append(path)
    assert len(plain) > 4 * len(own)
    elsewhere = loaded_elsewhere(tmp_path, plain) | loaded_elsewhere(tmp_path, own, "dagir")
    for path, outputs in elsewhere.items():
        for found, answer in zip(outputs, wanted[path], strict=True):
            if answer.dtype.kind == "T":
                assert found.tolist() == answer.tolist(), path
            else:
                assert_close(found, answer, path)


# ---- drawn models


def drawn_models(count):
    found = []

    @settings(max_examples=count, database=None, deadline=None, derandomize=True, phases=[Phase.generate])
    @given(st.data())
    def collect(data):
        made = drawing.drawn_model(data.draw)
        feeds = drawing.drawn_feeds(made, 2, 5, 0)
        try:
            made(feeds)
        except (ValueError, tf.errors.InvalidArgumentError):  # sizes that do not go together at run time
            return
        found.append((made, feeds))

    collect()
    return found


def test_drawn_models_are_models_of_keras(tmp_path):
    plain, own, wanted = [], [], {}
    for place, (judge, feeds) in enumerate(drawn_models(20)):
        model = dagir.from_keras(judge)
        path, made = saved(tmp_path, f"m{place}", model, keras.tree.flatten(feeds))
        wanted[path] = [np.asarray(answer) for answer in keras.tree.flatten(judge(feeds, training=False))]
        custom = any(type(layer).__module__ == drawing.__name__ for layer in judge._flatten_layers())
        (own if own_layers(made) else plain).append(path)
        assert custom or not own_layers(made), [layer.name for layer in judge.layers]
        again = dagir.from_keras(path + ".keras")
        assert_same(keras.tree.flatten(dagir.lower(again)(feeds)), wanted[path], path)
    elsewhere = loaded_elsewhere(tmp_path, plain) | loaded_elsewhere(tmp_path, own, "dagir")
    for path, outputs in elsewhere.items():
        assert_same(outputs, wanted[path], path)


# ---- training


def test_it_trains_as_keras_does():
    """Two epochs: losses fall by the same numbers, statistics of a normalization move, frozen weights do not."""
    x = dagir.Input((4,), name="x")
    statistics = [weight(name, 6, trainable=False) for name in ("mean", "variance")]
    frozen = weight("frozen", 6, trainable=False)
    y = ops.matmul(x, weight("w", 4, 6)) + weight("b", 6)
    y = apply(
        ops.BatchNorm(1, 1e-3, 0.9),
        y,
        weight("gamma", 6).value,
        weight("beta", 6).value,
        *(s.value for s in statistics),
    )
    model = dagir.Model(x, ops.matmul(ops.tanh(y) * frozen, weight("v", 6, 2)))
    k_x = keras.Input((4,))
    k_y = keras.layers.BatchNormalization(momentum=0.9)(keras.layers.Dense(6)(k_x))
    k_y = keras.ops.tanh(k_y) * frozen.array
    judge = keras.Model(k_x, keras.layers.Dense(2, use_bias=False)(k_y))
    made = dagir.to_keras(model)
    by_name = {each.name: each.array for each in parameters_of(model.graph)}
    names = ("w", "b", "gamma", "beta", "mean", "variance", "v")
    judge.set_weights([by_name[name] for name in names])
    rng = np.random.default_rng(0)
    inputs, targets = (rng.normal(size=(16, size)).astype("float32") for size in (4, 2))
    losses = []
    for each in (made, judge):
        each.compile(keras.optimizers.SGD(0.1), "mse")
        losses.append(each.fit(inputs, targets, epochs=2, batch_size=16, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    assert losses[0][1] < losses[0][0]
    layer = next(each for each in made.layers if isinstance(each, keras.layers.BatchNormalization))
    assert not np.allclose(layer.moving_mean, by_name["mean"], atol=1e-4)
    held = next(each for each in made.layers if each.name == "frozen")
    assert not held.trainable_weights
    np.testing.assert_array_equal(held.weights[0][0], frozen.array)  # a table of one row


def test_a_weight_that_a_file_would_hold_twice_is_refused(tmp_path):
    """Keras writes a layer of two models once, and does not find it again for the second."""
    inside, shared = dagir.Input((4,)), layers.Dense(4, name="shared")
    inner = dagir.Model(inside, shared(inside), name="inner")
    x = dagir.Input((4,), name="x")
    run = dagir.lower(dagir.Model(x, shared(inner(x))), "keras")
    with pytest.raises(dagir.BackendError, match="'shared'"):
        run.save(tmp_path / "m.keras")
    assert not list(tmp_path.iterdir())


def test_a_compiled_model_is_compiled_in_keras(tmp_path):
    x = dagir.Input((4,), name="x")
    model = dagir.Model(x, layers.Dense(2)(x))
    model.compile(optimizer="adam", loss="mse", metrics=["mae"])
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(8, 4)), rng.normal(size=(8, 2)), verbose=0)
    made = dagir.to_keras(model)
    made.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert again.optimizer.name == "adam"
    assert again.loss == "mse"
    assert int(again.optimizer.iterations) == 1


# ---- damaged files


def places_of(node, at=()):
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, part in items:
        yield (*at, key)
        yield from places_of(part, (*at, key))


def test_a_damaged_layer_of_dagir_is_one_error(tmp_path):
    rng = random.Random(0)
    for make in (blocks, masked_block):
        path, _ = saved(tmp_path, make.__name__, make(), [])
        with zipfile.ZipFile(path + ".keras") as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        for _ in range(40):
            config = json.loads(parts["config.json"])
            own = [each for each in config["config"]["layers"] if str(each["registered_name"]).startswith("dagir>")]
            node = rng.choice(own)["config"]
            *above, last = rng.choice(list(places_of(node)))
            for key in above:
                node = node[key]
            node[last] = rng.choice([None, -1, 3, "x", [], {}, [None], 1 << 40, True, [1, 2], 0.5])
            with zipfile.ZipFile(tmp_path / "damaged.keras", "w") as archive:
                for name, data in (parts | {"config.json": json.dumps(config)}).items():
                    archive.writestr(name, data)
            with contextlib.suppress(dagir.DagirError):  # any other error fails
                dagir.from_keras(tmp_path / "damaged.keras")
