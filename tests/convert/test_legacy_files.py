"""Files of older Keras: .h5 with inbound_nodes as nested lists, batch_input_shape, and calls counted from 1."""

from __future__ import annotations

import io
import json

import h5py
import numpy as np
import pytest

import dagir

RNG = np.random.default_rng(4)


def array(*shape):
    return RNG.normal(size=shape).astype("float32")


def write(path, config, weights, names=None):
    """weights: for each layer its arrays, by name; Keras 2 wrote ":0" behind names, and bytes."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in names or weights]
        for layer, arrays in weights.items():
            inner = group.create_group(layer)
            paths = [f"{layer}/{name}:0" for name in arrays]
            inner.attrs["weight_names"] = [each.encode() for each in paths]
            for each, data in zip(paths, arrays.values(), strict=True):
                inner[each] = data
    path.write_bytes(buffer.getvalue())
    return path


def layer(kind, name, config, *inbound):
    full = {"name": name, "trainable": True, "dtype": "float32", **config}
    return {"class_name": kind, "config": full, "name": name, "inbound_nodes": list(inbound)}


def begin(name="x", size=3):
    config = {"batch_input_shape": [None, size], "dtype": "float32", "sparse": False, "name": name}
    return {"class_name": "InputLayer", "config": config, "name": name, "inbound_nodes": []}


def functional(name, layers, outputs):
    config = {"name": name, "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": outputs}
    return {"class_name": "Functional", "config": config}


def test_nested_lists_of_inbound_nodes(tmp_path):
    kernel, bias = array(3, 3), array(3)
    layers = [
        begin(),
        layer("Dense", "dense", {"units": 3, "kernel_regularizer": None}, [["x", 0, 0, {}]], [["dense", 0, 0, {}]]),
        layer("Add", "add", {}, [["dense", 0, 0, {}], ["dense", 1, 0, {}]]),
        layer("BatchNormalization", "norm", {"axis": [1]}, [["add", 0, 0, {"training": False}]]),
    ]
    norm = {name: np.abs(array(3)) + 0.1 for name in ("gamma", "beta", "moving_mean", "moving_variance")}
    weights = {"x": {}, "dense": {"kernel": kernel, "bias": bias}, "add": {}, "norm": norm}
    model = dagir.from_keras(write(tmp_path / "m.h5", functional("m", layers, [["norm", 0, 0]]), weights))
    x = array(4, 3)
    first = x @ kernel + bias
    total = first + first @ kernel + bias
    scaled = (total - norm["moving_mean"]) / np.sqrt(norm["moving_variance"] + 1e-3) * norm["gamma"] + norm["beta"]
    np.testing.assert_allclose(dagir.lower(model)(x)[0], scaled, rtol=1e-4, atol=1e-5)
    assert model.output_names == ["norm"]


def test_a_sequential_model_without_an_input_layer(tmp_path):
    kernel = array(3, 2)
    stack = [
        layer("Dense", "dense", {"units": 2, "use_bias": False, "batch_input_shape": [None, 3]}),
        layer("Activation", "act", {"activation": "relu"}),
        layer("Dropout", "drop", {"rate": 0.5, "noise_shape": None, "seed": None}),
    ]
    config = {"class_name": "Sequential", "config": {"name": "stack", "layers": stack}}
    model = dagir.from_keras(write(tmp_path / "m.h5", config, {"dense": {"kernel": kernel}, "act": {}, "drop": {}}))
    x = array(2, 3)
    np.testing.assert_allclose(dagir.lower(model)(x), np.maximum(x @ kernel, 0), rtol=1e-5)


@pytest.mark.parametrize("first", [0, 1])
def test_calls_of_a_nested_model_counted_from_one(tmp_path, first):
    """Keras 2 counted a nested model's own graph as its first call; Keras 3 does so for outputs alone."""
    kernel = array(3, 3)
    inside = [begin(), layer("Dense", "dense", {"units": 3, "use_bias": False}, [["x", 0, 0, {}]])]
    inner = {**functional("inner", inside, [["dense", 0, 0]]), "name": "inner"}
    inner["inbound_nodes"] = [[["x", 0, 0, {}]], [["inner", first, 0, {}]]]
    layers = [begin(), inner, layer("Activation", "act", {"activation": "tanh"}, [["inner", first + 1, 0, {}]])]
    config = functional("m", layers, [["act", 0, 0]])
    weights = {"x": {}, "inner": {"kernel": kernel}, "act": {}}
    model = dagir.from_keras(write(tmp_path / "m.h5", config, weights))
    x = array(2, 3)
    np.testing.assert_allclose(dagir.lower(model)(x)[0], np.tanh(x @ kernel @ kernel), rtol=1e-5)


def test_layers_renamed_since_are_matched_in_order(tmp_path):
    kernel = array(3, 2)
    layers = [begin(), layer("Dense", "dense", {"units": 2, "use_bias": False}, [["x", 0, 0, {}]])]
    config = functional("m", layers, [["dense", 0, 0]])
    model = dagir.from_keras(write(tmp_path / "m.h5", config, {"old_name": {"kernel": kernel}}))
    np.testing.assert_array_equal(model.weights[0].array, kernel)
