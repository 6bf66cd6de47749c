"""Bidirectional and TimeDistributed against Keras's own, on every backend."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import layers
from dagir.errors import ArgumentError, ShapeError
from dagir.testing import assert_equivalent
from dagir.testing.rnn import masks
from layers_of_users import Centered, KerasCentered
from recurrent_judge import compare, model_over, op_types, randomize, same_paths, survives

STATES = {"LSTM": 2, "GRU": 1, "SimpleRNN": 1}
OPS = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "RNN"}
MODES = ["concat", "sum", "mul", "ave", None]


@pytest.mark.parametrize("name", STATES)
def test_bidirectional_is_that_of_keras(name):
    @given(st.data())
    def agrees(data):
        flags = {flag: data.draw(st.booleans()) for flag in ("return_sequences", "return_state")}
        own = {"activation": data.draw(st.sampled_from(["tanh", "relu"])), "use_bias": data.draw(st.booleans())}
        if name == "GRU":
            own["reset_after"] = data.draw(st.booleans())
        mode, backwards = data.draw(st.sampled_from(MODES)), data.draw(st.booleans())
        units = data.draw(st.sampled_from([4, 2])) if mode in ("concat", None) and not flags["return_state"] else 4
        batch, steps = data.draw(st.sampled_from([(1, 1), (3, 5), (2, 7)]))
        rng = np.random.default_rng(data.draw(st.integers(0, 99)))
        x = rng.uniform(-2, 2, (batch, steps, 3)).astype("float32")
        mask = data.draw(st.none() | masks(batch, steps))
        stated = data.draw(st.booleans())
        sizes = ([4] * STATES[name] + [units if backwards else 4] * STATES[name]) if stated else []
        states = [rng.uniform(-1, 1, (batch, size)).astype("float32") for size in sizes]

        def make(lib):
            cls = getattr(lib, name)
            backward = cls(units, go_backwards=True, activation="sigmoid", **flags) if backwards else None
            return lib.Bidirectional(cls(4, **flags, **own), merge_mode=mode, backward_layer=backward)

        model = compare(make, ("time", 3), x, mask, states)
        assert type(dagir.lower(model, "keras").artifact.layers[-1]) is keras.layers.Bidirectional
        assert not {"Scan", "Loop"} & set(op_types(model))
        alike = not backwards or (units == 4 and own["use_bias"] and own.get("reset_after", True))
        assert op_types(model).count(OPS[name]) == (1 if alike else 2)

    agrees()


def test_bidirectional_over_stacked_cells():
    def make(lib):
        return lib.Bidirectional(lib.RNN([lib.LSTMCell(4), lib.GRUCell(3)], return_sequences=True))

    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (3, 5, 3)).astype("float32")
    compare(make, ("time", 3), x)
    compare(make, ("time", 3), x, rng.random((3, 5)) < 0.6)


@pytest.mark.parametrize("name", STATES)
def test_one_graph_serves_every_size(name):
    layer = layers.Bidirectional(getattr(layers, name)(4, return_sequences=True))
    model = model_over(layer, ("time", 3), mask=True)
    lowered = [dagir.lower(model, "onnx", opset=opset) for opset in (18, 21, 24)] + [dagir.lower(model, "keras")]
    rng = np.random.default_rng(0)
    for batch, steps in ((1, 1), (3, 5), (2, 11)):
        feeds = [rng.normal(size=(batch, steps, 3)).astype("float32"), rng.random((batch, steps)) < 0.5]
        oracle = dagir.lower(model, "numpy", precision="float64")(feeds)
        for executable in lowered:
            np.testing.assert_allclose(executable(feeds), oracle, atol=1e-5)


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("opset", [18, 21, 24])
def test_both_ways_are_one_node(name, opset):
    layer = layers.Bidirectional(getattr(layers, name)(4, return_sequences=True))
    model = model_over(layer, ("time", 3))
    graph = dagir.lower(model, "onnx", opset=opset).artifact.graph
    assert [node.op_type for node in graph.node] == ["Transpose", OPS[name], "Transpose", "Reshape"]
    (node,) = [node for node in graph.node if node.op_type == OPS[name]]
    direction = next(a.s for a in node.attribute if a.name == "direction")
    assert direction == b"bidirectional"


def test_masks_go_through_bidirectional_layers():
    ids = dagir.Input(("time",), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True)(ids)
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True), merge_mode=None)(x)
    assert all(value.mask is x.mask for value in both)
    y = layers.Bidirectional(layers.GRU(3, return_sequences=True, return_state=True))(x)
    assert y[0].mask is x.mask
    assert y[1].mask is None
    model = dagir.Model(ids, layers.Bidirectional(layers.SimpleRNN(2))(y[0]))
    randomize(model)
    assert_equivalent(model, [np.array([[3, 0, 5, 0, 0], [0, 0, 0, 0, 0], [1, 2, 3, 4, 5]], "int32")])


def test_a_bidirectional_layer_trains():
    x = dagir.Input(("time", 3))
    model = dagir.Model(x, layers.Dense(1)(layers.Bidirectional(layers.LSTM(2))(x)))
    rng = np.random.default_rng(0)
    before = model.get_weights()
    model.compile(optimizer="sgd", loss="mse")
    model.fit(rng.normal(size=(8, 5, 3)).astype("f"), rng.normal(size=(8, 1)).astype("f"), epochs=1, verbose=0)
    assert all(not np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))


def nested(lib):
    Input, Model = (dagir.Input, dagir.Model) if lib is layers else (keras.Input, keras.Model)
    x = Input((7, 2))
    return Model(x, lib.Dense(3)(lib.Conv1D(4, 3, padding="same", activation="relu")(x)))


def embedded(lib):
    ids_of = dagir.Input if lib is layers else keras.Input
    ids = ids_of((5,), dtype="int32")
    y = lib.LSTM(3)(lib.Embedding(9, 4, mask_zero=True)(ids))
    return (dagir.Model if lib is layers else keras.Model)(ids, y)


INNER = {
    "dense": (lambda lib: lib.Dense(4, activation="relu"), (3,), "float32"),
    "conv": (lambda lib: lib.Conv2D(2, 3, strides=2, padding="same"), (7, 5, 3), "float32"),
    "pool": (lambda lib: lib.MaxPooling1D(2), (7, 3), "float32"),
    "flatten": (lambda lib: lib.Flatten(), (3, 2), "float32"),
    "norm": (lambda lib: lib.BatchNormalization(), (3,), "float32"),
    "layer norm": (lambda lib: lib.LayerNormalization(), (3, 2), "float32"),
    "lstm": (lambda lib: lib.LSTM(3, return_sequences=True), (5, 2), "float32"),
    "bidirectional": (lambda lib: lib.Bidirectional(lib.GRU(3)), (5, 2), "float32"),
    "model": (nested, (7, 2), "float32"),
    "masked model": (embedded, (5,), "int32"),
    "twice": (lambda lib: lib.TimeDistributed(lib.Dense(3)), (5, 2), "float32"),
    "dropout": (lambda lib: lib.Dropout(0.5), (3,), "float32"),
    "own": (lambda lib: (Centered if lib is layers else KerasCentered)(), (3,), "float32"),
}


@pytest.mark.parametrize("time", [None, 4], ids=["any", "fixed"])
@pytest.mark.parametrize("kind", INNER)
def test_time_distributed_is_that_of_keras(kind, time):
    inner, shape, dtype = INNER[kind]
    rng = np.random.default_rng(0)
    ours, judge = layers.TimeDistributed(inner(layers)), keras.layers.TimeDistributed(inner(keras.layers))
    model = model_over(ours, (time, *shape), dtype=dtype)
    x = rng.uniform(-2, 2, (3, 4, *shape)) if dtype == "float32" else rng.integers(0, 9, (3, 4, *shape))
    x = x.astype(dtype)
    judge(x)
    judge.set_weights(ours.get_weights())
    oracle = dagir.lower(model, "numpy", precision="float64")(x)
    np.testing.assert_allclose(np.asarray(judge(x)), oracle, atol=2e-5)
    for feed in (x, x[:1]) if time else (x, x[:1, :1], x[:2, :3]):
        assert_equivalent(model, [feed])
    if kind != "own":
        assert type(dagir.lower(model, "keras").artifact.layers[-1]) is keras.layers.TimeDistributed
        assert "Scan" not in op_types(model)


def test_masks_reach_the_layer_inside_and_what_comes_after():
    ids = dagir.Input(("time", 5), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True)(ids)
    y = layers.TimeDistributed(layers.GlobalAveragePooling1D())(x)
    z = layers.TimeDistributed(layers.LSTM(3))(x)
    assert y.mask is x.mask
    model = dagir.Model(ids, [y, z])
    randomize(model)
    feed = np.random.default_rng(0).integers(0, 4, (3, 4, 5)).astype("int32")
    feed[0, 1], feed[:, :, 0] = 0, 1
    feed[0, 1] = 0
    assert_equivalent(model, [feed])
    inner = dagir.Input((4, 3))
    masked = layers.TimeDistributed(layers.Dense(3))(layers.Masking()(inner))
    model = dagir.Model(inner, layers.LSTM(2)(masked))
    randomize(model)
    feed = np.random.default_rng(0).normal(size=(3, 4, 3)).astype("float32")
    feed[0, 2:] = 0
    assert_equivalent(model, [feed])


def test_a_layer_shared_with_a_wrapper_stays_one():
    x, steps = dagir.Input((3,)), dagir.Input((4, 3))
    dense = layers.Dense(2)
    model = dagir.Model([x, steps], [dense(x), layers.TimeDistributed(dense)(steps)])
    assert len(model.weights) == 2
    lowered = dagir.lower(model, "keras").artifact
    assert len(lowered.weights) == 2
    randomize(model)
    rng = np.random.default_rng(0)
    assert_equivalent(model, [rng.normal(size=(2, 3)).astype("f"), rng.normal(size=(2, 4, 3)).astype("f")])


@pytest.mark.parametrize(
    "make",
    [
        lambda lib: lib.Bidirectional(lib.LSTM(4)),
        lambda lib: lib.Bidirectional(lib.GRU(4), backward_layer=lib.GRU(3, go_backwards=True), merge_mode=None),
        lambda lib: lib.Bidirectional(lib.RNN(lib.SimpleRNNCell(4)), name="both"),
        lambda lib: lib.TimeDistributed(lib.Dense(3)),
        lambda lib: lib.TimeDistributed(lib.Bidirectional(lib.LSTM(3))),
    ],
)
def test_weights_have_the_paths_of_keras(make):
    same_paths(make, (5, 4, 3) if "time" in make(layers).name and "bidir" in repr(make(layers).layer) else (5, 3))


@pytest.mark.parametrize("kind", ["bidirectional", "both given", "dense", "model", "sequential", "own"])
def test_saving_and_cloning(kind, tmp_path):
    make = {
        "bidirectional": lambda: layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
        "both given": lambda: layers.Bidirectional(
            layers.GRU(4), backward_layer=layers.GRU(3, go_backwards=True), merge_mode=None
        ),
        "dense": lambda: layers.TimeDistributed(layers.Dense(4)),
        "model": lambda: layers.TimeDistributed(nested(layers)),
        "sequential": lambda: layers.TimeDistributed(
            dagir.Sequential([dagir.Input((3,)), layers.Dense(2), layers.LayerNormalization()])
        ),
        "own": lambda: layers.TimeDistributed(Centered()),
    }[kind]
    shape = (7, 2) if kind == "model" else (3,)
    model = model_over(make(), ("time", *shape))
    feeds = [np.random.default_rng(0).normal(size=(3, 5, *shape)).astype("float32")]
    survives(model, feeds, tmp_path, {"Centered": Centered})


def test_the_layer_given_is_left_as_it_was():
    lstm = layers.LSTM(3, return_sequences=True)
    both = layers.Bidirectional(lstm)
    both(dagir.Input((None, 2)))
    assert not lstm.built
    assert not lstm.zero_output_for_mask
    assert both.forward_layer.zero_output_for_mask
    assert both.forward_layer.get_config()["zero_output_for_mask"]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: layers.Bidirectional(layers.LSTM(2), merge_mode="add"), "merge_mode"),
        (lambda: layers.Bidirectional(layers.Dense(2)), "takes a recurrent layer, got the Dense"),
        (lambda: layers.Bidirectional(3), "takes a layer"),
        (lambda: layers.Bidirectional(layers.LSTM(2), backward_layer=layers.LSTM(2)), "go_backwards=False"),
        (
            lambda: layers.Bidirectional(
                layers.LSTM(2), backward_layer=layers.LSTM(2, go_backwards=True, return_state=True)
            ),
            "differ in return_state",
        ),
        (lambda: layers.TimeDistributed("dense"), "takes a layer"),
    ],
)
def test_wrong_arguments_are_refused(make, told):
    with pytest.raises(ArgumentError, match=told):
        make()


def test_wrong_calls_are_refused():
    with pytest.raises(ShapeError, match="rank 3 or more"):
        layers.TimeDistributed(layers.Dense(2))(dagir.Input((3,)))
    with pytest.raises(ArgumentError, match="both directions"):
        layers.Bidirectional(layers.GRU(2))(dagir.Input((None, 3)), initial_state=[dagir.Input((2,))])
