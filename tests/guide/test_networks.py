"""The guide's networks: the same function builds them with Keras and with dagir, and everybody agrees."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from dagir.ir.nest import flatten, flatten_like, flatten_sorted
from dagir.testing import assert_close
from guide import autoencoder, ensemble, frames, mnist, shared_embedding, tickets, toy_resnet

NETWORKS = [mnist, autoencoder, ensemble, tickets, toy_resnet, shared_embedding, frames]
SIZES = [{"batch": 1, "time": 5}, {"batch": 3, "time": 1}, {"batch": 2, "time": 17}]
by_name = pytest.mark.parametrize("network", NETWORKS, ids=lambda module: module.__name__.rsplit(".", 1)[-1])


def feeds(model, sizes, seed=0):
    """Arrays for a model's inputs; lengths that differ from input to input."""
    rng = np.random.default_rng(seed)
    arrays = []
    for place, value in enumerate(model.inputs):
        known = {"batch": sizes["batch"]}
        shape = [s if isinstance(s, int) else known.get(str(s), sizes["time"] + place) for s in value.type.shape]
        ids = value.dtype.is_integer
        arrays.append(rng.integers(0, 1000, shape, dtype="int32") if ids else rng.normal(size=shape).astype("float32"))
    return arrays


def randomize(model, seed=1):
    """Weights that are not at their initial zeros and ones."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(weight.array + rng.normal(0, 0.05, weight.shape))


@by_name
def test_all_backends_agree_with_the_oracle_at_every_size(network):
    model = network.model()
    randomize(model)
    oracle = dagir.lower(model, "numpy", precision="float64")
    executables = {name: dagir.lower(model, name) for name in ("numpy", "onnx", "keras")}
    for sizes in SIZES:
        arrays = feeds(model, sizes)
        expected = flatten(oracle(arrays))
        for name, executable in executables.items():
            for got, want in zip(flatten(executable(arrays)), expected, strict=True):
                assert_close(got, want, f"{network.__name__} on {name} at {sizes}")


@by_name
def test_keras_builds_the_same_network(network):
    import keras

    keras.utils.clear_session()
    theirs = network.build(keras, keras.layers)
    dagir.clear_session()
    ours = network.build(dagir, dagir.layers)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert [weight.shape for weight in ours.weights] == [tuple(weight.shape) for weight in theirs.weights]
    assert [weight.name for weight in ours.weights] == [weight.path for weight in theirs.weights]
    assert ours.count_params() == theirs.count_params()
    assert [layer.count_params() for layer in ours.layers] == [layer.count_params() for layer in theirs.layers]
    assert [value.shape for value in ours.inputs] == [tuple(value.shape) for value in theirs.inputs]
    assert [value.shape for value in flatten_sorted(ours.output)] == [tuple(value.shape) for value in theirs.outputs]

    ours.set_weights(theirs.get_weights())
    lowered = dagir.lower(ours, "keras").artifact
    assert [layer.name for layer in lowered.layers] == [layer.name for layer in theirs.layers]
    assert [type(layer) for layer in lowered.layers] == [type(layer) for layer in theirs.layers]
    lowered.set_weights(theirs.get_weights())
    arrays = feeds(ours, SIZES[1])
    answers = theirs(arrays if len(arrays) > 1 else arrays[0])
    expected = [np.asarray(y) for y in flatten_like(ours.output, answers)]
    for name in ("numpy", "onnx", "keras"):
        for got, want in zip(flatten(dagir.lower(ours, name)(arrays)), expected, strict=True):
            assert_close(got, want.astype("float64"), name)


def test_the_first_network_has_the_counts_of_the_guide():
    model = mnist.model()
    assert [layer.count_params() for layer in model.layers] == [0, 50_240, 4_160, 650]
    assert model.count_params() == 55_050
    assert model.inputs[0].shape == (None, 784)
    assert model.inputs[0].dtype == "float32"


def test_two_models_over_one_graph_of_layers_share_their_weights():
    encoder, whole = autoencoder.one_graph(dagir, dagir.layers)
    assert set(encoder.weights) <= set(whole.weights)
    assert encoder.output.shape == (None, 16)
    assert whole.output.shape == (None, 28, 28, 1)
    x = np.random.default_rng(0).normal(size=(2, 28, 28, 1)).astype("float32")
    before = dagir.lower(encoder, "numpy")(x)
    encoder.layers[1].kernel.assign(encoder.layers[1].kernel.array * 2)
    assert not np.allclose(dagir.lower(encoder, "numpy")(x), before)


def test_inputs_and_outputs_keep_their_names_and_sizes_in_onnx():
    proto = dagir.lower(tickets.model(), "onnx").artifact
    assert [value.name for value in proto.graph.input] == ["title", "body", "tags"]
    assert [value.name for value in proto.graph.output] == ["priority", "department"]
    dims = [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in proto.graph.input]
    assert dims == [["batch", "title_dim1"], ["batch", "body_dim1"], ["batch", 12]]
    outputs = [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in proto.graph.output]
    assert outputs == [["batch", 1], ["batch", 4]]
