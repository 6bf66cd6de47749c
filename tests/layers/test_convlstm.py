"""ConvLSTM layers against Keras's own, on every backend."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dagir
from dagir import layers
from dagir.errors import ArgumentError, ShapeError
from dagir.ir.nest import flatten
from dagir.testing import assert_close, assert_equivalent
from dagir.testing.rnn import masks
from recurrent_judge import compare, model_over, op_types, randomize, same_paths, survives

SPATIAL = {1: [(7,), (4,)], 2: [(5, 7), (3, 3)], 3: [(3, 4, 5)]}


def draw_arguments(data, rank):
    flags = ["return_sequences", "return_state", "go_backwards", "use_bias", "unit_forget_bias", "zero_output_for_mask"]
    kwargs = {flag: data.draw(st.booleans()) for flag in flags}
    kwargs["padding"] = data.draw(st.sampled_from(["valid", "same"]))
    kwargs["data_format"] = data.draw(st.sampled_from(["channels_last", "channels_last", "channels_first"]))
    kwargs["strides"], kwargs["dilation_rate"] = data.draw(st.sampled_from([(1, 1), (2, 1), (1, 2)]))
    kwargs["activation"] = data.draw(st.sampled_from(["tanh", "relu", "silu"]))
    kwargs["recurrent_activation"] = data.draw(st.sampled_from(["sigmoid", "hard_sigmoid"]))
    sizes = [1, 2, (2, 1, 2)[:rank]] + ([3, (2, 3, 1)[:rank]] if kwargs["padding"] == "same" else [])
    size = data.draw(st.sampled_from(sizes))
    return {**kwargs, "kernel_size": size, "filters": data.draw(st.integers(1, 3)), "dropout": 0.2}


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_layer_agrees_with_keras(rank):
    @settings(max_examples=max(2, settings.default.max_examples // 3))
    @given(st.data())
    def agrees(data):
        kwargs = draw_arguments(data, rank)
        spatial = data.draw(st.sampled_from(SPATIAL[rank]))
        batch, steps = data.draw(st.sampled_from([(1, 1), (3, 4), (2, 5)]))
        first = kwargs["data_format"] == "channels_first"
        shape = (2, *spatial) if first else (*spatial, 2)
        rng = np.random.default_rng(data.draw(st.integers(0, 99)))
        x = rng.uniform(-1, 1, (batch, steps, *shape)).astype("float32")
        mask = data.draw(st.none() | masks(batch, steps))

        def make(lib):
            return getattr(lib, f"ConvLSTM{rank}D")(**kwargs)

        if first:  # Keras's CPU kernels convolve channels last only
            ours = make(layers)
            model = model_over(ours, ("time", *shape), mask is not None)
            last = getattr(keras.layers, f"ConvLSTM{rank}D")(**{**kwargs, "data_format": "channels_last"})
            moved, more = np.moveaxis(x, 2, -1), {} if mask is None else {"mask": mask}
            last.build(moved.shape)
            last.set_weights(ours.get_weights())
            feeds = [x, *more.values()]
            oracle = flatten(dagir.lower(model, "numpy", precision="float64")(feeds))
            for expected, found in zip(keras.tree.flatten(last(moved, **more)), oracle, strict=True):
                axis = 2 if found.ndim == x.ndim else 1
                assert_close(np.moveaxis(np.asarray(expected), -1, axis), found, "Keras's own layer, channels last")
            assert_equivalent(model, feeds, ("numpy", "onnx"))
        else:
            model = compare(make, ("time", *shape), x, mask)
            assert type(dagir.lower(model, "keras").artifact.layers[-1]).__name__ == f"ConvLSTM{rank}D"
        kinds = op_types(model)
        assert kinds.count("Scan") == kinds.count("Conv") == 1
        assert "Loop" not in kinds

    agrees()


def test_one_scan_serves_every_size_at_every_opset():
    layer = layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True, return_state=True)
    model = model_over(layer, ("time", 5, 4, 2), mask=True)
    lowered = [dagir.lower(model, "onnx", opset=opset) for opset in (18, 21, 24)] + [dagir.lower(model, "keras")]
    rng = np.random.default_rng(0)
    for batch, steps in ((1, 1), (3, 5), (2, 7)):
        feeds = [rng.normal(size=(batch, steps, 5, 4, 2)).astype("float32"), rng.random((batch, steps)) < 0.6]
        oracle = flatten(dagir.lower(model, "numpy", precision="float64")(feeds))
        for executable in lowered:
            for found, want in zip(flatten(executable(feeds)), oracle, strict=True):
                assert_close(found, want, f"{executable} at {batch}, {steps}")


def test_only_the_recurrent_convolution_is_in_the_loop():
    model = model_over(layers.ConvLSTM2D(3, 3, padding="same"), ("time", 5, 4, 2))
    graph = dagir.lower(model, "onnx").artifact.graph
    (node,) = [n for n in graph.node if n.op_type == "Scan"]
    body = next(attribute.g for attribute in node.attribute if attribute.name == "body")
    assert [inner.op_type for inner in body.node].count("Conv") == 1
    assert not body.initializer
    assert sorted(i.name for i in graph.initializer if "conv_lstm" in i.name) == sorted(w.name for w in model.weights)


def test_initial_states_and_a_bidirectional_layer_around():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (3, 4, 5, 2)).astype("float32")
    states = [rng.uniform(-1, 1, (3, 5, 3)).astype("float32") for _ in range(2)]
    compare(lambda lib: lib.ConvLSTM1D(3, 3, padding="same", return_state=True), ("time", 5, 2), x, states=states)
    compare(lambda lib: lib.Bidirectional(lib.ConvLSTM1D(3, 2, return_sequences=True)), ("time", 5, 2), x)
    mask = rng.random((3, 4)) < 0.5
    compare(lambda lib: lib.Bidirectional(lib.ConvLSTM1D(3, 2), merge_mode="sum"), ("time", 5, 2), x, mask)


def test_a_convolutional_lstm_trains():
    x = dagir.Input(("time", 5, 4, 1))
    y = layers.ConvLSTM2D(2, 3)(x)
    model = dagir.Model(x, layers.Dense(1)(layers.Flatten()(y)))
    randomize(model)
    rng = np.random.default_rng(0)
    before = model.get_weights()
    model.compile(optimizer="sgd", loss="mse")
    model.fit(rng.normal(size=(4, 3, 5, 4, 1)).astype("f"), rng.normal(size=(4, 1)).astype("f"), epochs=1, verbose=0)
    assert all(not np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))


def test_saving_and_cloning(tmp_path):
    model = model_over(layers.ConvLSTM2D(2, 3, padding="same", return_sequences=True), ("time", 5, 4, 2))
    feeds = [np.random.default_rng(0).normal(size=(2, 3, 5, 4, 2)).astype("float32")]
    survives(model, feeds, tmp_path)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_paths_and_signature_are_those_of_keras(rank):
    name = f"ConvLSTM{rank}D"
    same_paths(lambda lib: getattr(lib, name)(3, 2), (None, *(5,) * rank, 2))
    ours = inspect.signature(getattr(layers, name).__init__).parameters
    theirs = inspect.signature(getattr(keras.layers, name).__init__).parameters
    assert [(key, p.default) for key, p in ours.items()] == [(key, p.default) for key, p in theirs.items()]


def test_wrong_arguments_and_calls_are_refused():
    with pytest.raises(ArgumentError, match="not both"):
        layers.ConvLSTM2D(2, 3, strides=2, dilation_rate=2)
    with pytest.raises(ArgumentError, match="valid"):
        layers.ConvLSTM2D(2, 3, padding="causal")
    with pytest.raises(ArgumentError, match="stateful"):
        layers.ConvLSTM1D(2, 3, stateful=True)
    with pytest.raises(ShapeError, match="rank 5"):
        layers.ConvLSTM2D(2, 3)(dagir.Input((None, 5, 2)))
    with pytest.raises(ShapeError, match="fixed size"):
        layers.ConvLSTM2D(2, 3)(dagir.Input((None, None, 5, 2)))
